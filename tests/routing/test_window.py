"""The observations that are kept in memory: which count, how much, and for how long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegw_sidecar.routing.latency import WINDOW_NS, Observed, quantile
from voicegw_sidecar.routing.window import HALF_LIFE_NS, KEPT_KEYS, KEPT_SAMPLES, Window, weighted_quantiles
from voicegw_sidecar.terms import NS_PER_S, Modality

NOW_NS = 10 * WINDOW_NS
POOLED, NOVA = (Modality.STT, "deepgram", ""), (Modality.STT, "deepgram", "nova-3")


def window(*observations: tuple[float, int], model: str | None = None) -> Window:
    """Fill a window with (first_ms, at_ns)."""
    made = Window()
    for first_ms, at_ns in observations:
        made.note(Modality.STT, "deepgram", model, first_ms, at_ns)
    return made


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.floats(0, 1))
def test_with_equal_weights_quantiles_are_the_plain_ones(values: list[float], share: float) -> None:
    ordered = sorted(values)
    (weighted,) = weighted_quantiles([(value, 0.3) for value in ordered], share)
    assert weighted == pytest.approx(quantile(ordered, share), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("ordered", "middle"),
    [([(7.0, 0.1)], 7.0), ([(1.0, 1.0), (2.0, 1.0)], 1.5), ([(1.0, 1.0), (5.0, 2.0), (9.0, 1.0)], 5.0)],
)
def test_each_value_stands_in_the_middle_of_its_weight(ordered: list[tuple[float, float]], middle: float) -> None:
    assert weighted_quantiles(ordered, 0.5) == (middle,)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(1e-9, 1)), min_size=1, max_size=40), st.floats(0, 1))
def test_quantiles_lie_among_the_values(pairs: list[tuple[float, float]], share: float) -> None:
    ordered = sorted(pairs)
    (value,) = weighted_quantiles(ordered, share)
    assert ordered[0][0] <= value <= ordered[-1][0] * (1 + 1e-12)


def test_observations_of_one_moment_are_summarised_as_in_the_roll_up() -> None:
    values = [310.0, 290.0, 300.0, 350.0, 280.0]
    found = window(*((value, NOW_NS) for value in values)).observed(NOW_NS)
    assert found.keys() == {POOLED}
    assert found[POOLED].p50_ms == pytest.approx(300.0)
    assert found[POOLED].p95_ms == pytest.approx(quantile(sorted(values), 0.95))
    assert (found[POOLED].sample_count, found[POOLED].stale_s) == (5, 0.0)


def test_a_model_is_kept_by_itself_and_pooled() -> None:
    made = window((100.0, NOW_NS), model="nova-3")
    made.note(Modality.STT, "deepgram", "nova-2", 300.0, NOW_NS)
    found = made.observed(NOW_NS)
    assert found[NOVA].p50_ms == 100.0
    assert found[POOLED].p50_ms == 200.0
    assert (found[NOVA].sample_count, found[POOLED].sample_count) == (1, 2)


def test_newer_observations_outweigh_older_ones() -> None:
    slow = [(900.0, NOW_NS - 4 * HALF_LIFE_NS + number) for number in range(20)]
    fast = [(200.0, NOW_NS + number) for number in range(5)]
    assert window(*slow).observed(NOW_NS)[POOLED].p50_ms == 900.0
    assert window(*slow, *fast).observed(NOW_NS)[POOLED].p50_ms == 200.0


def test_the_passing_of_time_alone_changes_no_median() -> None:
    made = window((100.0, NOW_NS), (200.0, NOW_NS + HALF_LIFE_NS), (400.0, NOW_NS + 2 * HALF_LIFE_NS))
    assert made.observed(NOW_NS + 3 * HALF_LIFE_NS) == made.observed(NOW_NS + 20 * HALF_LIFE_NS)


def test_only_the_newest_are_kept() -> None:
    made = window(*((1000.0, NOW_NS) for _ in range(KEPT_SAMPLES)), *((10.0, NOW_NS) for _ in range(KEPT_SAMPLES)))
    assert made.observed(NOW_NS)[POOLED] == Observed(10.0, 10.0, KEPT_SAMPLES)


def test_what_is_older_than_a_day_is_forgotten() -> None:
    made = window((100.0, NOW_NS), (500.0, NOW_NS + NS_PER_S))
    assert made.observed(NOW_NS + WINDOW_NS)[POOLED].sample_count == 2
    assert made.observed(NOW_NS + WINDOW_NS + 1)[POOLED] == Observed(500.0, 500.0, 1)
    assert made.observed(NOW_NS + WINDOW_NS + 2 * NS_PER_S) == {}


def test_stale_is_what_others_of_the_modality_were_observed_after() -> None:
    made = window((100.0, NOW_NS))
    made.note(Modality.LLM, "groq", None, 80.0, NOW_NS + 7 * NS_PER_S)
    assert made.observed(NOW_NS + 3600 * NS_PER_S)[POOLED].stale_s == 0.0  # nobody was observed: nothing is lost
    made.note(Modality.STT, "assemblyai", None, 400.0, NOW_NS + 60 * NS_PER_S)
    found = made.observed(NOW_NS + 3600 * NS_PER_S)
    assert found[POOLED].stale_s == 60.0
    assert found[Modality.STT, "assemblyai", ""].stale_s == 0.0
    assert found[Modality.LLM, "groq", ""].stale_s == 0.0


def test_a_clock_that_was_set_back_does_no_harm() -> None:
    made = window((100.0, NOW_NS), (300.0, NOW_NS - 3600 * NS_PER_S))
    made.note(Modality.STT, "assemblyai", None, 400.0, NOW_NS - 3600 * NS_PER_S)
    found = made.observed(NOW_NS - 3600 * NS_PER_S)
    assert 100.0 <= found[POOLED].p50_ms <= 300.0
    assert (found[POOLED].sample_count, found[POOLED].stale_s) == (2, 0.0)
    assert found[Modality.STT, "assemblyai", ""].stale_s == 3600.0


def test_an_observation_counts_at_once() -> None:
    made = window((100.0, NOW_NS))
    assert made.observed(NOW_NS)[POOLED] == Observed(100.0, 100.0, 1)
    made.note(Modality.STT, "deepgram", None, 300.0, NOW_NS)
    assert made.observed(NOW_NS)[POOLED].p50_ms == 200.0


def test_a_stamp_from_the_future_is_pushed_out_by_later_observations() -> None:
    made = window((9000.0, NOW_NS + 1000 * WINDOW_NS), *((100.0, NOW_NS) for _ in range(KEPT_SAMPLES)))
    made.note(Modality.STT, "assemblyai", None, 400.0, NOW_NS)
    assert made.observed(NOW_NS)[POOLED] == Observed(100.0, 100.0, KEPT_SAMPLES)
    assert made.observed(NOW_NS)[Modality.STT, "assemblyai", ""].stale_s == 0.0


def test_names_from_the_wire_are_bounded_and_the_longest_unobserved_goes() -> None:
    made = window((100.0, NOW_NS), model="first")
    for number in range(KEPT_KEYS):
        made.note(Modality.STT, "deepgram", f"m{number}", 100.0, NOW_NS)
    found = made.observed(NOW_NS)
    assert len(found) == KEPT_KEYS
    assert (Modality.STT, "deepgram", "first") not in found
    assert found[POOLED].sample_count == KEPT_SAMPLES

"""What an entry is expected to take: enough observations, else the baseline, else nothing."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegw_sidecar.routing.latency import FADE_S, LEAST_SAMPLES, Expected, Latencies, Observed, Source, quantile
from voicegw_sidecar.terms import Modality, RosterEntry

DEEPGRAM = RosterEntry("deepgram")
BASELINES = {(Modality.STT, "deepgram"): 250.0}


def expected(seen: Observed | None, entry: RosterEntry = DEEPGRAM, *, model: str = "") -> Expected | None:
    observed = {} if seen is None else {(Modality.STT, entry.provider, model): seen}
    return Latencies(observed, BASELINES).expected(Modality.STT, entry)


@pytest.mark.parametrize(
    ("values", "share", "value"),
    [
        ([7.0], 0.5, 7.0),
        ([7.0], 0.95, 7.0),
        ([1.0, 2.0], 0.5, 1.5),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.5),
        ([10.0, 20.0, 30.0, 40.0, 50.0], 0.95, 48.0),
        ([0.0, 100.0], 0.0, 0.0),
        ([0.0, 100.0], 1.0, 100.0),
    ],
)
def test_quantiles_are_linear_between_the_ranks(values: list[float], share: float, value: float) -> None:
    assert quantile(values, share) == pytest.approx(value)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=50))
def test_quantiles_are_those_of_the_standard_library(values: list[float]) -> None:
    cuts = statistics.quantiles(values, n=20, method="inclusive")
    assert quantile(sorted(values), 0.5) == pytest.approx(cuts[9])
    assert quantile(sorted(values), 0.95) == pytest.approx(cuts[18])


def test_five_samples_count_and_four_do_not() -> None:
    assert LEAST_SAMPLES == 5
    assert expected(Observed(180.0, 300.0, 5)) == Expected(180.0, Source.OBSERVED, 5)
    assert expected(Observed(180.0, 300.0, 4)) == Expected(250.0, Source.BASELINE, 4)
    assert expected(None) == Expected(250.0, Source.BASELINE, 0)


def test_without_a_baseline_too_few_samples_are_as_good_as_none() -> None:
    unknown = RosterEntry("cartesia")
    assert expected(Observed(180.0, 300.0, 4), unknown) is None
    assert expected(None, unknown) is None
    assert expected(Observed(180.0, 300.0, 5), unknown) == Expected(180.0, Source.OBSERVED, 5)


def test_a_model_has_its_own_row_and_a_bare_provider_the_pooled_one() -> None:
    latencies = Latencies(
        {
            (Modality.STT, "deepgram", ""): Observed(200.0, 300.0, 12),
            (Modality.STT, "deepgram", "nova-3"): Observed(180.0, 300.0, 8),
            (Modality.STT, "deepgram", "nova-2"): Observed(240.0, 300.0, 4),
            (Modality.TTS, "deepgram", ""): Observed(900.0, 999.0, 50),
        },
        BASELINES,
    )
    assert latencies.expected(Modality.STT, DEEPGRAM) == Expected(200.0, Source.OBSERVED, 12)
    assert latencies.expected(Modality.STT, RosterEntry("deepgram", "nova-3")) == Expected(180.0, Source.OBSERVED, 8)
    assert latencies.expected(Modality.STT, RosterEntry("deepgram", "nova-3", "de")) == Expected(
        180.0, Source.OBSERVED, 8
    )
    assert latencies.expected(Modality.STT, RosterEntry("deepgram", "nova-2")) == Expected(250.0, Source.BASELINE, 4)
    assert latencies.expected(Modality.STT, RosterEntry("deepgram", "flux")) == Expected(250.0, Source.BASELINE, 0)


def test_a_modality_has_no_other_modality_s_baseline() -> None:
    assert Latencies({}, BASELINES).expected(Modality.TTS, DEEPGRAM) is None


@pytest.mark.parametrize(("stale_s", "ms"), [(0.0, 1050.0), (FADE_S, 650.0), (2 * FADE_S, 450.0), (4 * FADE_S, 300.0)])
def test_what_is_stale_fades_to_the_baseline(stale_s: float, ms: float) -> None:
    assert expected(Observed(1050.0, 2000.0, 20, stale_s)) == Expected(ms, Source.OBSERVED, 20)


def test_without_a_baseline_nothing_fades() -> None:
    assert expected(Observed(900.0, 999.0, 20, 9 * FADE_S), RosterEntry("cartesia")) == Expected(
        900.0, Source.OBSERVED, 20
    )

"""Exploring: which sessions, which leg, which entry, and never what does not fit."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.routing.test_router import ACME, BASELINES, chosen, entry, wish
from voicegw_sidecar.routing.latency import FADE_S, Key, Latencies, Observed
from voicegw_sidecar.routing.policy import EXPLORED_SHARE, LEAST_STALE_S, explore
from voicegw_sidecar.routing.router import Decision, Wish, choose
from voicegw_sidecar.terms import ROUTED, Modality

STT, LLM, TTS = ROUTED
FRESH = {
    (STT, "deepgram", ""): Observed(250.0, 400.0, 50),
    (STT, "assemblyai", ""): Observed(400.0, 600.0, 50, LEAST_STALE_S - 1),
    (LLM, "groq", ""): Observed(80.0, 200.0, 50),
    (LLM, "openai", ""): Observed(300.0, 600.0, 50, LEAST_STALE_S - 1),
    (TTS, "cartesia", ""): Observed(150.0, 300.0, 50),
    (TTS, "elevenlabs", ""): Observed(400.0, 700.0, 50, LEAST_STALE_S - 1),
}


def explored(wanted: Wish, observed: Mapping[Key, Observed], draw: float = 0.0) -> Decision:
    latencies = Latencies(observed, BASELINES)
    return explore(choose(wanted, latencies), wanted, latencies, draw)


def stale(modality: Modality, provider: str, seconds: float, p50_ms: float = 400.0) -> dict[Key, Observed]:
    return {**FRESH, (modality, provider, ""): Observed(p50_ms, 2 * p50_ms, 50, seconds)}


def test_what_was_observed_within_the_hour_is_not_explored() -> None:
    assert chosen(explored(wish(), FRESH)) == "deepgram groq cartesia"


def test_one_leg_takes_the_entry_that_went_stale_and_says_so() -> None:
    decision = explored(wish(), stale(STT, "assemblyai", 4 * 3600.0))
    assert chosen(decision) == "assemblyai groq cartesia"
    assert {modality: leg.is_explored for modality, leg in decision.legs.items()} == {STT: True, LLM: False, TTS: False}
    assert decision.legs[STT].reason == (
        "assemblyai (400 ms observed, 50 samples), explored: it was not observed for 4 h; "
        "otherwise deepgram (250 ms observed, 50 samples)"
    )
    assert decision.predicted_ms == 400 + 80 + 150
    assert not decision.is_overrun


def test_only_a_small_share_of_sessions_explores() -> None:
    observed = stale(STT, "assemblyai", LEAST_STALE_S)
    assert chosen(explored(wish(), observed, EXPLORED_SHARE - 1e-9)) == "assemblyai groq cartesia"
    assert chosen(explored(wish(), observed, EXPLORED_SHARE)) == "deepgram groq cartesia"


def test_what_was_never_observed_is_explored_at_its_baseline() -> None:
    observed = {key: one for key, one in FRESH.items() if key[1] != "elevenlabs"}
    decision = explored(wish(), observed)
    assert chosen(decision) == "deepgram groq elevenlabs"
    assert decision.legs[TTS].reason == (
        "elevenlabs (400 ms baseline), explored: it was not observed within a day; "
        "otherwise cartesia (150 ms observed, 50 samples)"
    )


def test_of_two_as_stale_the_less_slow_is_explored_and_a_staler_one_before_it() -> None:
    both = {**stale(STT, "assemblyai", 7200.0, 1500.0), (TTS, "elevenlabs", ""): Observed(400.0, 700.0, 50, 7200.0)}
    assert chosen(explored(wish(), both)) == "deepgram groq elevenlabs"  # 150 of 400 ms, the other 250 of 837
    both[TTS, "elevenlabs", ""] = Observed(400.0, 700.0, 50, 3600.0)
    assert chosen(explored(wish(), both)) == "assemblyai groq cartesia"


def test_an_entry_that_answers_at_once_can_be_explored() -> None:
    latencies = Latencies(stale(LLM, "openai", 7200.0, 0.0) | {(LLM, "groq", ""): Observed(0.0, 0.0, 50)}, {})
    decision = explore(choose(wish(), latencies), wish(), latencies, 0.0)
    assert chosen(decision) == "deepgram openai cartesia"
    assert decision.legs[LLM].expected.ms == 0.0


@pytest.mark.parametrize(("budget_ms", "stt"), [(630, "assemblyai"), (629, "deepgram")])
def test_nothing_is_explored_that_does_not_fit_the_budget(budget_ms: int, stt: str) -> None:
    decision = explored(wish(budget_ms=budget_ms), stale(STT, "assemblyai", 7200.0))
    assert decision.legs[STT].entry == entry(stt)
    assert not decision.is_overrun


def test_over_the_budget_nothing_is_explored() -> None:
    decision = explored(wish(budget_ms=400), stale(STT, "assemblyai", 7200.0))
    assert chosen(decision) == "deepgram groq cartesia"
    assert decision.is_overrun


def test_an_incident_is_tried_again_once_its_figures_have_faded_into_the_budget() -> None:
    budget = wish(budget_ms=1200)  # leaves 970 ms for this leg
    assert chosen(explored(budget, stale(STT, "assemblyai", FADE_S / 2, 2000.0))) == "deepgram groq cartesia"
    assert chosen(explored(budget, stale(STT, "assemblyai", 2 * FADE_S, 2000.0))) == "assemblyai groq cartesia"


def test_a_leg_that_the_agent_chose_is_not_explored() -> None:
    both = {**stale(STT, "assemblyai", 7200.0), (TTS, "elevenlabs", ""): Observed(400.0, 700.0, 50, 7200.0)}
    assert chosen(explored(wish(stt=entry("deepgram")), both)) == "deepgram groq elevenlabs"
    narrowed = wish({**ACME, STT: "deepgram/nova-3 deepgram/nova-2"}, stt=entry("deepgram"))
    assert not explored(narrowed, FRESH).legs[STT].is_explored


def test_an_entry_of_which_nothing_is_known_is_no_candidate_here_either() -> None:
    rosters = {**ACME, STT: "deepgram", LLM: "groq", TTS: "cartesia deepgram"}
    assert chosen(explored(wish(rosters), FRESH)) == "deepgram groq cartesia"


STALE = st.floats(0, 100_000)
MS = st.floats(0, 5000)


@given(st.lists(st.tuples(MS, STALE), min_size=6, max_size=6), st.integers(1, 5000), st.floats(0, 1, exclude_max=True))
def test_whatever_was_observed_at_most_one_leg_differs_and_a_fitting_route_stays_one(
    seen: list[tuple[float, float]], budget_ms: int, draw: float
) -> None:
    observed = {key: Observed(ms, ms, 9, stale_s) for key, (ms, stale_s) in zip(FRESH, seen, strict=True)}
    latencies, wanted = Latencies(observed, BASELINES), wish(budget_ms=budget_ms)
    plain = choose(wanted, latencies)
    decision = explore(plain, wanted, latencies, draw)
    assert sum(decision.legs[modality] != plain.legs[modality] for modality in ROUTED) <= (draw < EXPLORED_SHARE)
    assert decision.is_overrun is plain.is_overrun is (decision.predicted_ms > budget_ms)

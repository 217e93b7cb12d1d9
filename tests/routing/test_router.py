"""The router's rule as the contract has it: candidates, expectations, ties, the latency budget and refusals."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegw_sidecar.errors import NoRoute
from voicegw_sidecar.providers import ALL
from voicegw_sidecar.routing.latency import Key, Latencies, Observed, Source
from voicegw_sidecar.routing.router import Decision, Wish, choose
from voicegw_sidecar.terms import ROUTED, Modality, RosterEntry

STT, LLM, TTS = ROUTED
BASELINES = {(one.modality, provider.id): float(one.ms) for provider in ALL for one in provider.baselines}
ACME = {STT: "deepgram assemblyai", LLM: "groq openai", TTS: "cartesia elevenlabs"}


def entry(text: str) -> RosterEntry:
    provider, _, model = text.partition("/")
    return RosterEntry(provider, model or None)


def wish(
    rosters: Mapping[Modality, str] = ACME,
    budget_ms: int = 1200,
    *,
    fallback: bool = True,
    **overrides: RosterEntry,
) -> Wish:
    return Wish(
        "acme",
        {modality: tuple(map(entry, names.split())) for modality, names in rosters.items()},
        budget_ms,
        fallback,
        {Modality(name): wanted for name, wanted in overrides.items()},
    )


def seen(**p50_ms: float) -> dict[Key, Observed]:
    """Write pooled rows as ``stt_deepgram=231.0``."""
    keys = {name: (Modality(name[:3]), name[4:], "") for name in p50_ms}
    return {keys[name]: Observed(ms, 2 * ms, 100) for name, ms in p50_ms.items()}


def chosen(decision: Decision) -> str:
    return " ".join(str(decision.legs[modality].entry) for modality in ROUTED)


def route(wanted: Wish, observed: Mapping[Key, Observed] | None = None) -> Decision:
    return choose(wanted, Latencies(observed or {}, BASELINES))


def test_the_example_of_the_product_page() -> None:
    decision = route(wish())
    assert chosen(decision) == "deepgram groq cartesia"
    assert decision.predicted_ms == 480
    assert {leg.expected.source for leg in decision.legs.values()} == {Source.BASELINE}
    assert not decision.is_overrun
    other = route(wish(llm=entry("openai")))
    assert chosen(other) == "deepgram openai cartesia"
    assert other.predicted_ms == 700


@pytest.mark.parametrize(("samples", "provider", "ms"), [(4, "deepgram", 250.0), (5, "assemblyai", 199.0)])
def test_observed_order_beats_baseline_order_from_five_samples_on(samples: int, provider: str, ms: float) -> None:
    decision = route(wish(), {(STT, "assemblyai", ""): Observed(199.0, 400.0, samples)})
    assert decision.legs[STT].entry == RosterEntry(provider)
    assert decision.legs[STT].expected.ms == ms


def test_an_observation_can_also_cost_an_entry_its_place() -> None:
    assert chosen(route(wish(), seen(tts_cartesia=401.0))) == "deepgram groq elevenlabs"
    assert chosen(route(wish(), seen(tts_cartesia=399.0))) == "deepgram groq cartesia"


@pytest.mark.parametrize("names", ["deepgram assemblyai openai", "openai assemblyai deepgram"])
def test_a_tie_goes_to_the_entry_that_is_listed_first(names: str) -> None:
    same = seen(stt_deepgram=300.0, stt_assemblyai=300.0, stt_openai=300.0)
    assert route(wish({**ACME, STT: names}), same).legs[STT].entry == entry(names.split()[0])


def test_exactly_the_budget_fits_and_less_does_not() -> None:
    assert not route(wish(budget_ms=480)).is_overrun
    over = route(wish(budget_ms=479))
    assert over.is_overrun
    assert (chosen(over), over.predicted_ms, over.budget_ms) == ("deepgram groq cartesia", 480, 479)


@pytest.mark.parametrize("parts", [(0.2, 86.9, 12.9), (1 / 30, 43 / 3, 2569 / 30)])
def test_rounding_of_a_sum_is_no_overrun(parts: tuple[float, float, float]) -> None:
    assert max(parts[0] + parts[1] + parts[2], math.fsum(parts)) > 100  # by the last bit
    observed = seen(stt_deepgram=parts[0], llm_groq=parts[1], tts_cartesia=parts[2])
    decision = route(wish(budget_ms=100, fallback=False), observed)
    assert (decision.predicted_ms, decision.is_overrun) == (100, False)


def test_without_the_fallback_nothing_that_does_not_fit_is_taken() -> None:
    assert route(wish(budget_ms=480, fallback=False)).predicted_ms == 480
    with pytest.raises(NoRoute) as refused:
        route(wish(budget_ms=479, fallback=False))
    assert (refused.value.code, refused.value.status) == ("no_route", 409)
    assert str(refused.value) == (
        "no triple of project acme fits 479 ms: the fastest is expected to take 480 ms; raise "
        "projects.acme.routing.budget_ms, add a faster provider to a roster, or set fallback_to_fastest: true"
    )


@pytest.mark.parametrize("modality", ROUTED)
def test_an_empty_or_missing_roster_has_no_route(modality: Modality) -> None:
    where = f"projects.acme.routing.rosters.{modality} is empty"
    for rosters in ({**ACME, modality: ""}, {one: names for one, names in ACME.items() if one is not modality}):
        with pytest.raises(NoRoute, match=where):
            route(wish(rosters))
        with pytest.raises(NoRoute, match=where):
            route(wish(rosters, **{modality.value: entry("openai")}))


def test_an_override_narrows_its_roster_and_no_other() -> None:
    decision = route(wish(tts=entry("elevenlabs")))
    assert chosen(decision) == "deepgram groq elevenlabs"
    assert decision.predicted_ms == 250 + 80 + 400
    assert decision.legs[TTS].reason == "elevenlabs (400 ms baseline), the only candidate"


def test_an_override_outside_its_roster_is_refused_even_if_it_were_faster() -> None:
    with pytest.raises(NoRoute) as refused:
        route(wish(stt=entry("groq")))
    assert str(refused.value) == (
        "groq is not in projects.acme.routing.rosters.stt, which has deepgram, assemblyai; name one of these or add "
        "it there"
    )


@pytest.mark.parametrize(
    ("roster", "wanted", "taken"),
    [
        ("deepgram", RosterEntry("deepgram", "nova-2"), RosterEntry("deepgram", "nova-2")),
        ("deepgram/nova-3", RosterEntry("deepgram"), RosterEntry("deepgram", "nova-3")),
        ("deepgram/nova-3", RosterEntry("deepgram", "nova-3", "de"), RosterEntry("deepgram", "nova-3", "de")),
        ("deepgram/nova-3", RosterEntry("deepgram", "nova-2"), None),
        ("deepgram", RosterEntry("openai", "nova-2"), None),
    ],
)
def test_an_override_is_inside_where_nothing_contradicts_the_entry(
    roster: str, wanted: RosterEntry, taken: RosterEntry | None
) -> None:
    asked = wish({**ACME, STT: roster}, stt=wanted)
    if taken is None:
        with pytest.raises(NoRoute, match="is not in"):
            route(asked)
    else:
        assert route(asked).legs[STT].entry == taken


def test_an_override_chooses_among_the_entries_that_it_fits() -> None:
    rosters = {**ACME, LLM: "openai/gpt-4.1 openai/gpt-4.1-mini groq"}
    observed = {
        (LLM, "openai", "gpt-4.1"): Observed(500.0, 700.0, 9),
        (LLM, "openai", "gpt-4.1-mini"): Observed(310.0, 700.0, 9),
    }
    assert route(wish(rosters, llm=entry("openai")), observed).legs[LLM].entry == entry("openai/gpt-4.1-mini")


def test_pooled_rows_are_for_bare_providers_and_model_rows_for_models() -> None:
    observed = {
        (LLM, "openai", ""): Observed(60.0, 90.0, 40),
        (LLM, "openai", "gpt-4.1"): Observed(900.0, 990.0, 20),
    }
    assert chosen(route(wish(), observed)) == "deepgram openai cartesia"
    assert chosen(route(wish({**ACME, LLM: "groq openai/gpt-4.1"}), observed)) == "deepgram groq cartesia"


def test_an_entry_of_which_nothing_is_known_is_no_candidate_and_is_named() -> None:
    rosters = {**ACME, TTS: "deepgram cartesia"}  # Deepgram's speech has no baseline
    leg = route(wish(rosters)).legs[TTS]
    assert leg.entry == entry("cartesia")
    assert leg.reason == "cartesia (150 ms baseline), before deepgram unknown"
    assert route(wish(rosters), seen(tts_deepgram=149.0)).legs[TTS].entry == entry("deepgram")


def test_a_roster_of_which_nothing_is_known_has_no_route() -> None:
    with pytest.raises(NoRoute) as refused:
        route(wish({**ACME, TTS: "deepgram groq"}))
    assert str(refused.value) == (
        "nothing is known of the latency of deepgram, groq (tts of project acme): neither a baseline nor enough "
        "observations; add a provider with a baseline to the roster (docs/providers.md)"
    )


def test_a_reason_names_every_candidate_with_its_figure_and_source() -> None:
    leg = route(wish({**ACME, STT: "deepgram assemblyai openai"}), seen(stt_assemblyai=230.6)).legs[STT]
    assert leg.reason == (
        "assemblyai (231 ms observed, 100 samples), before deepgram (250 ms baseline), openai (500 ms baseline)"
    )


LEVELS = st.lists(st.integers(0, 5), min_size=9, max_size=9)


@given(LEVELS, st.integers(1, 15))
def test_the_pick_is_the_first_smallest_of_the_whole_product(levels: list[int], budget_ms: int) -> None:
    names = ("deepgram", "assemblyai", "openai")
    keys = list(itertools.product(ROUTED, names))
    observed = {(m, name, ""): Observed(float(ms), 9.0, 5) for (m, name), ms in zip(keys, levels, strict=True)}
    ms_of = dict(zip(keys, levels, strict=True))
    triples = [tuple(zip(ROUTED, triple, strict=True)) for triple in itertools.product(names, repeat=3)]
    best = min(triples, key=lambda triple: sum(ms_of[key] for key in triple))
    decision = route(wish(dict.fromkeys(ROUTED, " ".join(names)), budget_ms), observed)
    assert chosen(decision) == " ".join(name for _, name in best)
    assert decision.predicted_ms == sum(ms_of[key] for key in best)
    assert decision.is_overrun is (decision.predicted_ms > budget_ms)

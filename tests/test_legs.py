"""Which provider serves a call: what it names, or what its session, its process or its project was given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import Struct

from voicegw_sidecar.app import build_runtime
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.errors import NoRoute, UnknownProject
from voicegw_sidecar.legs import Call, Legs, ProcessMemory
from voicegw_sidecar.providers import registry
from voicegw_sidecar.rollup import Rollup
from voicegw_sidecar.routing.latency import LEAST_SAMPLES, Observed
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.settings import catalog_of, load_settings
from voicegw_sidecar.stitching import Process
from voicegw_sidecar.store.queries.latencies import StoredObservation
from voicegw_sidecar.terms import NS_PER_S, Modality, SessionOrigin

STT, LLM, TTS = Modality.STT, Modality.LLM, Modality.TTS
ROUTING = """
projects:
  acme: {routing: {rosters: {stt: [deepgram, assemblyai], llm: [groq, openai], tts: ['cartesia/sonic-3:katie']}}}
  globex: {routing: {rosters: {stt: [assemblyai], llm: [openai], tts: [elevenlabs]}}}
  patient: {routing: {failover: true, rosters: {stt: [deepgram, assemblyai, deepgram/nova-3, deepgram/nova-2],
                      llm: [groq, openai, vllm/llama], tts: [cartesia]}}}
  bare: {}
providers:
  openai: {api_key: key-of-openai}
  groq: {api_key: key-of-groq}
  deepgram: {api_key: key-of-deepgram}
  kokoro: {base_url: 'http://127.0.0.1:9'}
  vllm: {dialect: openai, base_url: 'http://127.0.0.1:9'}
sessions: {idle_seconds: 60}
prices:
  vllm/llama: {input_per_mtok: 1, output_per_mtok: 1}
  vllm/twin: {input_per_mtok: 1, output_per_mtok: 1}
  openai/twin: {input_per_mtok: 1, output_per_mtok: 1}
"""


class SetClock:
    """A clock that goes on by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic_ns(self) -> int:
        return round(self.now_s * NS_PER_S)

    def wall_ns(self) -> int:
        return round((1_790_000_000 + self.now_s) * NS_PER_S)


class Setup(Struct):
    """What legs are chosen from; a second `Legs` of the same is what a reload makes."""

    runtime: Runtime
    clock: SetClock
    memory: ProcessMemory

    def legs(self, *seen: StoredObservation) -> Legs:
        """Choose by the configuration in force, with these observations."""
        runtime = self.runtime
        rollup = Rollup(runtime.store, self.clock, list(seen), [])
        providers = registry(runtime.catalog.config.providers)
        return Legs(runtime.catalog, providers, rollup, runtime.sessions, runtime.prices, self.clock, self.memory)


@asynccontextmanager
async def running(path: Path, config: str = ROUTING) -> AsyncIterator[Setup]:
    (path / "voicegw.yaml").write_text(f"cost_tracking: {{db_path: {path / 'voicegw.db'}}}\n{config}")
    clock = SetClock()
    runtime = await asyncio.to_thread(build_runtime, load_settings(str(path / "voicegw.yaml"), {}), clock)
    try:
        yield Setup(runtime, clock, ProcessMemory())
    finally:
        await runtime.store.close()


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[Setup]:
    async with running(tmp_path) as found:
        yield found


def observed(
    modality: Modality,
    provider: str,
    p50_ms: float,
    p95_ms: float | None = None,
    samples: int = LEAST_SAMPLES,
    project: str = "acme",
    model: str | None = None,
) -> StoredObservation:
    seen = Observed(p50_ms, p50_ms if p95_ms is None else p95_ms, samples)
    return StoredObservation(project, modality, provider, model, seen)


GROQ_IS_SLOW = observed(LLM, "groq", 5000)
"""With it the pick of acme's language model is OpenAI's, without it Groq's."""


def by_session(session_id: str = "call-1", project: str = "acme", *, is_stream: bool = False) -> Call:
    return Call(project, session_id, None, is_stream)


def by_process(process: Process, project: str = "acme", *, is_stream: bool = False) -> Call:
    return Call(project, None, process, is_stream)


def by_project(project: str = "acme") -> Call:
    return Call(project, None, None)


def names(legs: list[Leg]) -> list[str]:
    return [leg.name for leg in legs]


def asked(legs: Legs, call: Call, modality: Modality, wanted: str | None = "auto") -> str:
    [leg] = legs.of(call, modality, wanted)
    return leg.name


@pytest.mark.parametrize("wanted", [None, "", "  ", "auto", " auto ", "NOT_GIVEN"])
async def test_a_call_that_names_nothing_takes_the_pick(setup: Setup, wanted: str | None) -> None:
    legs = setup.legs()
    assert legs.is_auto(wanted)
    [leg] = legs.of(by_project(), STT, wanted)
    assert (leg.name, leg.variant, leg.patience_ms, leg.is_substitute) == ("deepgram/nova-3", None, None, False)


@pytest.mark.parametrize(
    ("modality", "expected", "variant"),
    [(STT, "deepgram/nova-3", None), (LLM, "groq/llama-3.3-70b-versatile", None), (TTS, "cartesia/sonic-3", "katie")],
)
async def test_the_pick_has_the_rosters_model_and_voice(
    setup: Setup, modality: Modality, expected: str, variant: str | None
) -> None:
    [leg] = setup.legs().of(by_project(), modality, "auto")
    assert (leg.name, leg.variant, leg.modality) == (expected, variant, modality)


async def test_each_project_has_its_own_pick(setup: Setup) -> None:
    assert asked(setup.legs(), by_project("globex"), TTS) == "elevenlabs/eleven_flash_v2_5"


async def test_without_session_and_process_every_call_takes_the_current_pick(setup: Setup) -> None:
    assert asked(setup.legs(), by_project(), LLM) == "groq/llama-3.3-70b-versatile"
    assert asked(setup.legs(GROQ_IS_SLOW), by_project(), LLM) == "openai/gpt-4.1-mini"


async def test_a_session_that_is_named_is_opened_and_keeps_its_pick(setup: Setup) -> None:
    assert asked(setup.legs(), by_session(), LLM) == "groq/llama-3.3-70b-versatile"
    session = setup.runtime.sessions.find("acme", "call-1")
    assert session is not None
    assert (session.origin, session.predicted_ms) == (SessionOrigin.NAMED, 480.0)
    later = setup.legs(GROQ_IS_SLOW)
    assert asked(later, by_session(), LLM) == "groq/llama-3.3-70b-versatile"
    assert asked(later, by_session("call-2"), LLM) == "openai/gpt-4.1-mini"


async def test_a_session_has_the_voice_of_its_pick(setup: Setup) -> None:
    setup.legs().of(by_session(), STT, "auto")
    [leg] = setup.legs().of(by_session(), TTS, "auto")
    assert leg.variant == "katie"


async def test_a_session_that_is_closed_is_not_opened_again(setup: Setup) -> None:
    legs, sessions = setup.legs(), setup.runtime.sessions
    legs.of(by_session(), STT, "auto")
    session = sessions.find("acme", "call-1")
    assert session is not None
    await sessions.close(session)
    assert asked(setup.legs(GROQ_IS_SLOW), by_session(), LLM) == "openai/gpt-4.1-mini"
    assert sessions.find("acme", "call-1") is None


async def test_a_session_that_nobody_picked_for_takes_the_current_pick(setup: Setup) -> None:
    setup.runtime.sessions.exchange_began(("acme", "call-1"), SessionOrigin.NAMED, LLM, "anthropic", "claude")
    assert asked(setup.legs(GROQ_IS_SLOW), by_session(), LLM) == "openai/gpt-4.1-mini"


async def test_a_process_keeps_its_pick(setup: Setup) -> None:
    process = Process()
    assert asked(setup.legs(), by_process(process), LLM) == "groq/llama-3.3-70b-versatile"
    later = setup.legs(GROQ_IS_SLOW)
    assert asked(later, by_process(process), LLM) == "groq/llama-3.3-70b-versatile"
    assert asked(later, by_process(Process()), LLM) == "openai/gpt-4.1-mini"


async def test_a_process_has_a_pick_in_each_project(setup: Setup) -> None:
    process, legs = Process(), setup.legs()
    assert asked(legs, by_process(process), LLM) == "groq/llama-3.3-70b-versatile"
    assert asked(legs, by_process(process, "globex"), LLM) == "openai/gpt-4.1-mini"
    assert asked(setup.legs(GROQ_IS_SLOW), by_process(process), LLM) == "groq/llama-3.3-70b-versatile"


async def test_a_new_stream_of_speech_begins_a_new_pick(setup: Setup) -> None:
    process, later = Process(), setup.legs(GROQ_IS_SLOW)
    setup.legs().of(by_process(process, is_stream=True), STT, "auto")
    assert asked(later, by_process(process), LLM) == "groq/llama-3.3-70b-versatile"
    later.of(by_process(process, is_stream=True), STT, "auto")
    assert asked(later, by_process(process), LLM) == "openai/gpt-4.1-mini"


async def test_the_first_stream_joins_what_began_before_it(setup: Setup) -> None:
    process, later = Process(), setup.legs(GROQ_IS_SLOW)
    setup.legs().of(by_process(process, is_stream=True), TTS, "auto")  # prewarmed before the microphone
    later.of(by_process(process, is_stream=True), STT, "auto")
    assert asked(later, by_process(process), LLM) == "groq/llama-3.3-70b-versatile"


@pytest.mark.parametrize(("silent_s", "expected"), [(60, "groq/llama-3.3-70b-versatile"), (61, "openai/gpt-4.1-mini")])
async def test_a_process_that_was_silent_begins_anew(setup: Setup, silent_s: float, expected: str) -> None:
    process = Process()
    setup.legs().of(by_process(process), LLM, "auto")
    setup.clock.now_s += silent_s
    assert asked(setup.legs(GROQ_IS_SLOW), by_process(process), LLM) == expected


async def test_a_process_that_calls_now_and_then_is_not_silent(setup: Setup) -> None:
    process, later = Process(), setup.legs(GROQ_IS_SLOW)
    setup.legs().of(by_process(process), LLM, "auto")
    for _ in range(3):
        setup.clock.now_s += 50
        assert asked(later, by_process(process), LLM) == "groq/llama-3.3-70b-versatile"


async def test_a_session_goes_before_the_process(setup: Setup) -> None:
    process = Process()
    setup.legs().of(by_process(process), LLM, "auto")
    call = Call("acme", "call-1", process)
    assert asked(setup.legs(GROQ_IS_SLOW), call, LLM) == "openai/gpt-4.1-mini"


@pytest.mark.parametrize("call", [by_session(), by_process(Process())], ids=["session", "process"])
async def test_a_pick_whose_server_is_no_longer_configured_is_made_anew(
    setup: Setup, tmp_path: Path, call: Call
) -> None:
    runtime = setup.runtime
    text = (tmp_path / "voicegw.yaml").read_text()

    def reloaded(llm: str, providers: str) -> None:
        changed = text.replace("llm: [groq, openai]", f"llm: [{llm}]").replace(
            "providers:\n", f"providers:\n{providers}"
        )
        (tmp_path / "other.yaml").write_text(changed)
        runtime.catalog = catalog_of(load_settings(str(tmp_path / "other.yaml"), {}).config)

    reloaded("mine/model", "  mine: {dialect: openai, base_url: 'http://127.0.0.1:9'}\n")
    assert asked(setup.legs(observed(LLM, "mine", 10, model="model")), call, LLM) == "mine/model"
    reloaded("groq", "")
    assert asked(setup.legs(), call, LLM) == "groq/llama-3.3-70b-versatile"


KEY_OF_ASSEMBLYAI = "providers:\n  assemblyai: {api_key: key-of-assemblyai}\n"


async def test_failover_goes_down_the_roster_once(tmp_path: Path) -> None:
    call = by_project("patient")
    async with running(tmp_path, ROUTING.replace("providers:\n", KEY_OF_ASSEMBLYAI)) as setup:
        legs = setup.legs().of(call, STT, "auto")
        faster = setup.legs(observed(STT, "assemblyai", 10, project="patient")).of(call, STT, "auto")
    assert names(legs) == ["deepgram/nova-3", "assemblyai/universal-3-6-pro", "deepgram/nova-2"]
    assert [leg.is_substitute for leg in legs] == [False, True, True]
    assert names(faster) == ["assemblyai/universal-3-6-pro", "deepgram/nova-3", "deepgram/nova-2"]


async def test_a_vendor_without_a_key_takes_nothing_over(setup: Setup) -> None:
    call = by_project("patient")
    legs = setup.legs().of(call, STT, "auto")
    assert names(legs) == ["deepgram/nova-3", "deepgram/nova-2"]
    assert [leg.patience_ms is None for leg in legs] == [False, True]
    faster = setup.legs(observed(STT, "assemblyai", 10, project="patient")).of(call, STT, "auto")
    assert names(faster) == ["deepgram/nova-3", "deepgram/nova-2"]  # and is not waited for as the first
    assert [leg.is_substitute for leg in faster] == [False, True]


async def test_a_key_of_the_project_s_own_counts(tmp_path: Path) -> None:
    own = "  patient: {providers: {assemblyai: {api_key: key}}, routing:"
    async with running(tmp_path, ROUTING.replace("  patient: {routing:", own)) as setup:
        legs = setup.legs().of(by_project("patient"), STT, "auto")
    assert names(legs) == ["deepgram/nova-3", "assemblyai/universal-3-6-pro", "deepgram/nova-2"]


async def test_of_vendors_that_all_lack_their_key_the_first_stays(setup: Setup) -> None:
    """So that the caller is told which key is missing; servers of one's own need none."""
    [leg] = setup.legs().of(by_project("patient"), TTS, "auto")
    assert (leg.name, leg.patience_ms) == ("cartesia/sonic-3", None)
    assert "vllm/llama" in names(setup.legs().of(by_project("patient"), LLM, "auto"))


async def test_a_session_that_fails_over_begins_with_its_own_pick(setup: Setup) -> None:
    call = by_session(project="patient")
    assert names(setup.legs().of(call, LLM, "auto"))[0] == "groq/llama-3.3-70b-versatile"
    later = setup.legs(observed(LLM, "groq", 5000, project="patient")).of(call, LLM, "auto")
    assert names(later) == ["groq/llama-3.3-70b-versatile", "openai/gpt-4.1-mini", "vllm/llama"]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ((), 1000.0),
        ((observed(LLM, "groq", 100, 499, project="patient"),), 1000.0),
        ((observed(LLM, "groq", 100, 900, project="patient"),), 1800.0),
        ((observed(LLM, "groq", 100, 900, LEAST_SAMPLES - 1, project="patient"),), 1000.0),
        ((observed(LLM, "groq", 100, 900, project="acme"),), 1000.0),
    ],
    ids=["a quick baseline", "a quick p95", "a slow p95", "too little seen", "seen elsewhere"],
)
async def test_patience_is_twice_the_slowest_of_usual_and_a_second_at_least(
    setup: Setup, seen: tuple[StoredObservation, ...], expected: float
) -> None:
    legs = setup.legs(*seen).of(by_project("patient"), LLM, "auto")
    by_name = {leg.name: leg.patience_ms for leg in legs}
    assert by_name["groq/llama-3.3-70b-versatile"] == expected


async def test_patience_is_twice_the_baseline_where_little_was_seen(tmp_path: Path) -> None:
    local = (
        "projects: {acme: {routing: {failover: true, rosters: {stt: [whisper], llm: [ollama], tts: [piper, kokoro]}}}}"
    )
    async with running(tmp_path, local) as setup:
        first, last = setup.legs().of(by_project(), TTS, "auto")
    assert (first.name, first.patience_ms) == ("kokoro/kokoro", 2000.0)
    assert (last.name, last.patience_ms) == ("piper", None)


async def test_of_a_provider_of_which_nothing_is_known_a_second_is_enough(tmp_path: Path) -> None:
    text = ROUTING.replace("llm: [groq, openai, vllm/llama]", "llm: [groq, vllm/llama, openai]")
    async with running(tmp_path, text) as setup:
        legs = setup.legs().of(by_project("patient"), LLM, "auto")
    assert [(leg.name, leg.patience_ms) for leg in legs][1] == ("vllm/llama", 1000.0)


async def test_the_last_has_nobody_to_give_way_to(setup: Setup) -> None:
    legs = setup.legs()
    assert legs.of(by_project("patient"), LLM, "auto")[-1].patience_ms is None
    [only] = legs.of(by_project("patient"), TTS, "auto")
    assert only.patience_ms is None


@pytest.mark.parametrize("wanted", ["groq", "groq/llama-3.3-70b-versatile"])
async def test_what_is_named_is_not_swapped(setup: Setup, wanted: str) -> None:
    [leg] = setup.legs().of(by_project("patient"), LLM, wanted)
    assert (leg.name, leg.patience_ms, leg.is_substitute) == ("groq/llama-3.3-70b-versatile", None, False)


async def test_an_empty_roster_has_no_route(setup: Setup) -> None:
    for call in (by_project("bare"), by_session(project="bare"), by_process(Process(), "bare")):
        with pytest.raises(NoRoute, match=r"projects\.bare\.routing\.rosters\.stt is empty"):
            setup.legs().of(call, STT, "auto")
    assert setup.runtime.sessions.find("bare", "call-1") is None


async def test_a_project_that_is_not_configured_is_named(setup: Setup) -> None:
    with pytest.raises(UnknownProject, match="nobody"):
        setup.legs().of(by_project("nobody"), STT, "auto")


async def test_a_name_opens_no_session(setup: Setup) -> None:
    setup.legs().of(by_session(), LLM, "openai/gpt-4.1-mini")
    assert setup.runtime.sessions.find("acme", "call-1") is None

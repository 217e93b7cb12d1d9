"""Scripted agents that hold conversations with the simulated providers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.simulator.conftest import quick
from voicegw_sidecar import tasks
from voicegw_sidecar.simulator import Failure, FailureKind, Listening, Rule, Script, Simulator, Thinking
from voicegw_sidecar.simulator.agents import (
    Conduct,
    Progress,
    ProgressKind,
    run_agents,
    sidecar_address,
    troubles,
)

HASTY = Conduct(
    turns=(2, 2), speech_s=(0.2, 0.3), pause_s=(0.0, 0.02), playback_limit_s=0.01, barge_in_share=0.0,
    deepgram_voice_share=0.0,
)  # fmt: skip


async def _run(
    script: Script, until: Callable[[list[Progress]], bool], *, conduct: Conduct = HASTY, count: int = 1
) -> tuple[Simulator, list[Progress]]:
    """Run agents straight against a simulator until what they tell is enough."""
    told: list[Progress] = []
    stop = asyncio.Event()

    def take(progress: Progress) -> None:
        told.append(progress)
        if until(told):
            stop.set()

    async with Simulator(script) as simulator, asyncio.timeout(20.0):
        address = f"http://{simulator.host}:{simulator.port}"
        await run_agents(
            lambda project, session: address,
            projects=["alpha", "beta"],
            count=count,
            stop=stop,
            conduct=conduct,
            on_progress=take,
        )
    assert tasks.alive() == []
    return simulator, told


def _kinds(told: list[Progress]) -> list[ProgressKind]:
    return [progress.kind for progress in told]


@pytest.mark.parametrize("deepgram_voice_share", [0.0, 1.0])
async def test_session_of_two_turns(deepgram_voice_share: float) -> None:
    conduct = Conduct(
        turns=(2, 2), speech_s=(0.2, 0.3), pause_s=(0.0, 0.02), playback_limit_s=0.01, barge_in_share=0.0,
        deepgram_voice_share=deepgram_voice_share,
    )  # fmt: skip
    simulator, told = await _run(quick(), lambda told: ProgressKind.SESSION_ENDED in _kinds(told), conduct=conduct)

    assert _kinds(told) == [
        ProgressKind.SESSION_STARTED, ProgressKind.TURN, ProgressKind.TURN, ProgressKind.SESSION_ENDED,
    ]  # fmt: skip
    assert all(progress.audio_s for progress in told if progress.kind == ProgressKind.TURN)
    [listening] = simulator.ledger.entries("deepgram.listen", key="")
    assert listening.usage_reported
    assert listening.close_code == 1000
    assert len(simulator.ledger.work("deepgram.listen")) == 2
    assert len(simulator.ledger.entries("openai.chat")) == 2
    voice = "deepgram.speak" if deepgram_voice_share else "cartesia.tts"
    assert len(simulator.ledger.work(voice)) == 2
    assert len(simulator.ledger.entries(voice, key="")) == 1


async def test_question_about_the_weather_takes_two_requests() -> None:
    script = quick(listen=Listening(final_ms=10.0, utterances=("What is the weather like?",)))
    simulator, told = await _run(script, lambda told: ProgressKind.TURN in _kinds(told))
    assert ProgressKind.ERROR not in _kinds(told)
    assert len(simulator.ledger.entries("openai.chat")) >= 2
    assert len(simulator.ledger.work("cartesia.tts")) >= 1


async def test_barge_in_leaves_answers_unfinished() -> None:
    conduct = Conduct(
        turns=(6, 6), speech_s=(0.2, 0.3), pause_s=(0.0, 0.02), playback_limit_s=0.01, barge_in_share=1.0,
        deepgram_voice_share=0.5,
    )  # fmt: skip
    script = quick(chat=Thinking(first_token_ms=5.0, token_interval_ms=30.0, answers=("One. Two. Three. Four.",)))
    simulator, told = await _run(
        script, lambda told: _kinds(told).count(ProgressKind.BARGE_IN) >= 8, conduct=conduct, count=2
    )
    assert ProgressKind.ERROR not in _kinds(told)
    assert [entry for entry in simulator.ledger.entries("openai.chat") if entry.hung_up_ns is not None]


async def test_one_project_has_troubles_and_nothing_is_raised() -> None:
    script = quick(rules=troubles("beta", every=2))
    _, told = await _run(
        script,
        lambda told: _kinds(told).count(ProgressKind.ERROR) >= 3 and _kinds(told).count(ProgressKind.TURN) >= 3,
        count=4,
    )
    assert {progress.project for progress in told if progress.kind == ProgressKind.ERROR} == {"beta"}
    assert {progress.project for progress in told if progress.kind == ProgressKind.TURN} >= {"alpha"}


@pytest.mark.parametrize("endpoint", ["deepgram.listen", "openai.chat", "cartesia.tts"])
async def test_session_ends_when_a_provider_is_down(endpoint: str) -> None:
    conduct = Conduct(
        turns=(9, 9), speech_s=(0.2, 0.2), pause_s=(0.0, 0.0), barge_in_share=0.0, deepgram_voice_share=0.0
    )
    script = quick(rules=(Rule(endpoint, Failure(FailureKind.STATUS, status=503)),))
    _, told = await _run(script, lambda told: ProgressKind.SESSION_ENDED in _kinds(told), conduct=conduct)
    assert _kinds(told).count(ProgressKind.ERROR) == 3
    assert told[1].error is not None
    assert told[1].error.endswith("503")


async def test_agents_stop_after_so_many_seconds_without_anyone_to_talk_to() -> None:
    told: list[Progress] = []
    await run_agents(
        sidecar_address("http://127.0.0.1:9/"),
        projects=["alpha"],
        count=2,
        stop=0.2,
        conduct=HASTY,
        on_progress=told.append,
    )
    assert ProgressKind.ERROR in _kinds(told)
    assert tasks.alive() == []


def test_sidecar_address_names_project_and_session() -> None:
    assert sidecar_address("http://127.0.0.1:8080/")("acme", "a-1") == "http://127.0.0.1:8080/p/acme/s/a-1"

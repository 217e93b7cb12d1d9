"""A running simulator whose latencies are short."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from voicegw_sidecar.simulator import Listening, Script, Simulator, Speaking, Thinking

ANSWER = "Your order has left the warehouse."
UTTERANCES = ("Where is my order?", "Thank you, that is all.")


def quick(**changes: object) -> Script:
    """A script with short latencies, changed as asked."""
    voice = Speaking(first_audio_ms=10.0, s_per_char=0.02, pace=100.0)
    ear = Listening(final_ms=10.0, utterances=UTTERANCES)
    fields: dict[str, object] = {
        "chat": Thinking(first_token_ms=20.0, token_interval_ms=1.0, answers=(ANSWER,)),
        "speech": voice,
        "speak": voice,
        "tts": voice,
        "listen": ear,
        "turns": ear,
        "transcription": ear,
    }
    return Script(**{**fields, **changes})


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(quick()) as running:
        yield running


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until the other end has come so far; fail after two seconds."""
    async with asyncio.timeout(2.0):
        while not condition():
            await asyncio.sleep(0.002)

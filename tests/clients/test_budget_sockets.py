"""A budget that is spent on an open socket: the next exchange gets the provider's own error, then the socket closes."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from cartesia import AsyncCartesia
from deepgram import AsyncDeepgramClient
from deepgram.speak.v1.types import SpeakV1Text
from openai import AsyncOpenAI

from tests.clients.test_deepgram_sdk import environment
from tests.clients.test_openai_realtime import FRAMES, SESSION, encoded
from tests.conftest import StartSidecar
from tests.sidecar import Sidecar
from tests.simulator.conftest import quick
from tests.simulator.test_cartesia import FORMAT, VOICE
from voicegw_sidecar.simulator import Simulator

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:websockets.*is deprecated:DeprecationWarning"),
]
PROJECT = "projects: {acme: {daily_budget: 0.000001, budget_action: block}}\n"


@pytest.fixture
async def sidecar(start_sidecar: StartSidecar) -> AsyncIterator[Sidecar]:
    """A sidecar whose project has enough for one exchange."""
    async with Simulator(quick()) as simulator:
        bases = {name: simulator.base_url(name) for name in ("openai", "cartesia", "deepgram")}
        async with start_sidecar(PROJECT, **bases) as running:
            yield running
    gc.collect()


def openai_client(sidecar: Sidecar) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="k", base_url=f"{sidecar.url}/p/acme/openai/v1")


async def check_refused(sidecar: Sidecar, *served: str) -> None:
    """What was served, and one row that was not: nothing of it went upstream."""
    rows = await sidecar.rows(len(served) + 1)
    assert sorted(str(row.modality) for row in rows if row.status == "ok") == sorted(served)
    [refused] = [row for row in rows if row.status == "refused"]
    assert (refused.cost_nanousd, refused.usage.input_tokens) == (0, None)


async def test_next_response_on_openais_socket(sidecar: Sidecar) -> None:
    async with openai_client(sidecar) as client, client.responses.connect() as socket:
        await socket.response.create(model="gpt-4.1-mini", input="Hello")
        async for event in socket:
            if event.type == "response.completed":
                break
        await sidecar.rows(1)
        await socket.response.create(model="gpt-4.1-mini", input="Hello again")
        error: Any = await socket.recv()
    assert (error.type, error.error.code) == ("error", "insufficient_quota")
    assert "acme" in error.error.message
    await check_refused(sidecar, "llm")


async def test_next_response_of_openais_realtime_session(sidecar: Sidecar) -> None:
    async with openai_client(sidecar) as client, client.realtime.connect(model="gpt-realtime") as connection:
        await connection.response.create()
        async for event in connection:
            if event.type == "response.done":
                break
        await sidecar.rows(1)
        await connection.response.create()
        error: Any = await connection.recv()
    assert (error.type, error.error.code) == ("error", "insufficient_quota")
    await check_refused(sidecar, "s2s")


async def test_answer_that_a_realtime_session_gives_by_itself(sidecar: Sidecar) -> None:
    async with openai_client(sidecar) as client, client.realtime.connect(model="gpt-realtime") as connection:
        session = {**SESSION, "audio": {"input": {**SESSION["audio"]["input"], "transcription": None}}}
        await connection.session.update(session=session)
        for _ in range(2):
            for frame in FRAMES:
                await connection.input_audio_buffer.append(audio=encoded(frame))
            async for event in connection:
                if event.type in ("response.done", "error"):
                    break
            await sidecar.rows(at_least=1)
    assert event.type == "error"
    assert event.error.code == "insufficient_quota"
    rows = await sidecar.rows(at_least=2)
    assert "refused" in {row.status for row in rows}


async def test_next_context_of_cartesia(sidecar: Sidecar) -> None:
    base = f"{sidecar.url}/p/acme/cartesia"
    asked: Any = {"model_id": "sonic-3", "voice": VOICE, "output_format": FORMAT}
    async with (
        AsyncCartesia(api_key="k", base_url=base, websocket_base_url=base.replace("http", "ws")) as client,
        client.tts.websocket_connect() as connection,
    ):
        first = connection.context(context_id="one", **asked)
        await first.send(transcript="Hello there.", **asked)
        await first.no_more_inputs()
        _ = [event async for event in first.receive()]
        await sidecar.rows(1)
        second = connection.context(context_id="two", **asked)
        await second.send(transcript="And more.", **asked)
        errors: Any = [event async for event in second.receive()]
    assert [(error.type, error.status_code, error.error_code) for error in errors] == [
        ("error", 402, "budget_exceeded")
    ]
    await check_refused(sidecar, "tts")


async def test_next_utterance_of_deepgram_that_has_no_word_for_it(sidecar: Sidecar) -> None:
    client = AsyncDeepgramClient(api_key="k", environment=environment(f"{sidecar.url}/p/acme/deepgram"))
    async with client.speak.v1.connect(
        model="aura-2-thalia-en", encoding="linear16", sample_rate="24000"
    ) as connection:
        await connection.send_text(SpeakV1Text(type="Speak", text="Hello there."))
        await connection.send_flush()
        async for message in connection:
            if getattr(message, "type", "") == "Flushed":
                break
        await sidecar.rows(1)
        await connection.send_text(SpeakV1Text(type="Speak", text="And more."))
        with pytest.raises(Exception, match="budget_exceeded"):
            await connection.recv()
    await check_refused(sidecar, "tts")

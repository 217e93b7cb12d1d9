"""The simulated Cartesia, driven by the real SDK and by bare sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from cartesia import AsyncCartesia

from tests.simulator.conftest import UTTERANCES, eventually, quick
from tests.simulator.sounds import PCM, buzz, frames, spoken
from voicegw_sidecar.simulator import Failure, FailureKind, Listening, Simulator, Speaking

VOICE: Any = {"mode": "id", "id": "f786b574-daa5-4673-aa0c-cbe3e8534c02"}
FORMAT: Any = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16_000}


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[AsyncCartesia]:
    base = simulator.base_url("cartesia")
    async with AsyncCartesia(api_key="k", base_url=base, websocket_base_url=base.replace("http", "ws")) as running:
        yield running


def _text(context: str, transcript: str, **more: object) -> str:
    message = {"context_id": context, "transcript": transcript, "model_id": "sonic-3", "voice": VOICE}
    return msgspec.json.encode({**message, "output_format": FORMAT, **more}).decode()


async def _receive(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    received: dict[str, Any] = msgspec.json.decode(await socket.receive_str())
    return received


async def test_sdk_speaks_in_a_context(simulator: Simulator, client: AsyncCartesia) -> None:
    audio, kinds = b"", []
    async with client.tts.websocket_connect() as connection:
        context = connection.context(model_id="sonic-3", voice=VOICE, output_format=FORMAT)
        await context.send(transcript="Hello there. ", voice=VOICE, model_id="sonic-3", output_format=FORMAT)
        await context.send(
            transcript="Good day.", voice=VOICE, model_id="sonic-3", output_format=FORMAT, add_timestamps=True
        )
        await context.no_more_inputs()
        async for event in context.receive():
            kinds.append(event.type)
            if event.type == "chunk":
                audio += event.audio or b""

    assert set(kinds) == {"chunk", "timestamps", "done"}
    assert len(audio) == pytest.approx((len("Hello there.") + len("Good day.")) * 0.02 * 32_000, abs=64)
    [spoken_context] = simulator.ledger.work("cartesia.tts")
    assert spoken_context.characters == len("Hello there. Good day.")
    assert spoken_context.model == "sonic-3"
    assert spoken_context.first_text_ns is not None
    assert spoken_context.first_output_ns is not None
    assert spoken_context.first_text_ns < spoken_context.first_output_ns
    assert spoken_context.ended_ns is not None


async def test_contexts_do_not_wait_for_each_other(simulator: Simulator) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{simulator.base_url('cartesia')}/tts/websocket") as socket,
    ):
        await socket.send_str(_text("long", "Word " * 60))
        await socket.send_str(_text("short", "Hi."))
        order = []
        while len([event for event in order if event[1] == "done"]) < 2:
            event = await _receive(socket)
            order.append((event["context_id"], event["type"]))
    ends = [context for context, kind in order if kind == "done"]
    assert ends == ["short", "long"]


async def test_flush_and_cancel(simulator: Simulator) -> None:
    simulator.script = quick(tts=Speaking(first_audio_ms=1.0, s_per_char=1.0, pace=1000.0))
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{simulator.base_url('cartesia')}/tts/websocket") as socket,
    ):
        await socket.send_str(_text("a", "A", **{"continue": True, "flush": True}))
        while (event := await _receive(socket))["type"] == "chunk":
            pass
        assert (event["type"], event["flush_id"], event["done"]) == ("flush_done", 1, False)
        await socket.send_str(_text("a", "Never spoken to its end" * 10, **{"continue": True}))
        assert (await _receive(socket))["type"] == "chunk"
        await socket.send_str('{"context_id":"a","cancel":true}')
        await socket.send_str(_text("b", "B"))
        while (event := await _receive(socket))["context_id"] == "a":
            pass
        kinds = [event["type"]]
        while kinds[-1] != "done":
            event = await _receive(socket)
            assert event["context_id"] == "b"
            kinds.append(event["type"])
    [cancelled, complete] = simulator.ledger.work("cartesia.tts")
    assert cancelled.ended_ns is not None
    assert (complete.key, complete.characters) == ("b", 1)


async def test_context_left_alone_is_done(simulator: Simulator) -> None:
    simulator.script = quick(tts=Speaking(first_audio_ms=1.0, pace=1000.0, context_expiry_ms=20.0))
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{simulator.base_url('cartesia')}/tts/websocket") as socket,
    ):
        await socket.send_str(_text("a", "Hi.", **{"continue": True}))
        while (event := await _receive(socket))["type"] == "chunk":
            pass
        assert event["type"] == "done"


@pytest.mark.parametrize(("version", "field"), [("2025-04-16", "error"), ("2026-03-01", "error_code")])
async def test_errors_follow_the_version_asked_for(simulator: Simulator, version: str, field: str) -> None:
    base = simulator.base_url("cartesia")
    async with (
        aiohttp.ClientSession(headers={"Cartesia-Version": version}) as http,
        http.ws_connect(f"{base}/tts/websocket") as socket,
    ):
        await socket.send_str('{"context_id":"a","transcript":"no model"}')
        error = await _receive(socket)
        assert (error["type"], error["status_code"], error["context_id"], error["done"]) == ("error", 400, "a", True)
        assert field in error
        await socket.send_str("nonsense")
        assert (await _receive(socket))["status_code"] == 400
        simulator.fail_next("cartesia.tts", Failure(FailureKind.STATUS, status=429))
        async with http.get(f"{base}/tts/websocket") as refused:
            assert refused.status == 429
            assert refused.headers["X-Request-Id"]
            assert refused.content_type == ("application/json" if field == "error_code" else "text/plain")


async def test_hang_up_while_speaking_is_noted(simulator: Simulator) -> None:
    simulator.script = quick(tts=Speaking(first_audio_ms=1.0, pace=1.0))
    async with aiohttp.ClientSession() as http:
        socket = await http.ws_connect(f"{simulator.base_url('cartesia')}/tts/websocket")
        await socket.send_str(_text("a", "A rather long sentence."))
        await _receive(socket)
        await socket.close()
    [context] = simulator.ledger.work("cartesia.tts")
    await eventually(lambda: context.hung_up_ns is not None)
    assert context.ended_ns is None
    [connected] = simulator.ledger.entries("cartesia.tts", key="")
    assert (connected.close_code, connected.hung_up_ns) == (1000, None)


async def test_sdk_hears_turns_in_real_speech(simulator: Simulator, client: AsyncCartesia) -> None:
    simulator.script = quick(turns=Listening(final_ms=10.0, utterances=UTTERANCES, eager_end=True))
    connecting = client.stt.auto_finalize.websocket(model="ink-2", encoding="pcm_s16le", sample_rate=PCM.rate_hz)
    kinds, final = [], ""
    async with connecting as connection:
        for frame in frames(spoken("Where is my order"), 0.16):
            await connection.send_raw(frame)
        await connection.send({"type": "close"})
        async for event in connection:
            kinds.append(event.type)
            if event.type == "turn.end":
                final = event.transcript

    assert kinds[:2] == ["connected", "turn.start"]
    assert kinds[-2:] == ["turn.eager_end", "turn.end"]
    assert set(kinds[2:-2]) == {"turn.update"}
    assert final == UTTERANCES[0]
    [turn] = simulator.ledger.work("cartesia.turns")
    assert turn.speech_end_ns is not None
    assert turn.final_ns is not None
    assert turn.speech_end_ns < turn.final_ns


async def test_close_ends_the_turn_and_unknown_messages_are_errors(simulator: Simulator) -> None:
    query = {"model": "ink-2", "encoding": "pcm_s16le", "sample_rate": "16000"}
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{simulator.base_url('cartesia')}/stt/turns/websocket", params=query) as socket,
    ):
        assert (await _receive(socket))["type"] == "connected"
        await socket.send_str("nonsense")
        assert (await _receive(socket))["type"] == "error"
        for frame in frames(buzz(after_s=0.0)):
            await socket.send_bytes(frame)
        await socket.send_str('{"type":"close"}')
        kinds = [msgspec.json.decode(message.data)["type"] async for message in socket]
        assert kinds[-1] == "turn.end"
        assert socket.close_code == 1000


async def test_turns_need_a_format(simulator: Simulator) -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect(f"{simulator.base_url('cartesia')}/stt/turns/websocket")
    assert caught.value.status == 400

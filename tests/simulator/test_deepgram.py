"""The simulated Deepgram, driven by the real SDK and by bare sockets."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment
from deepgram.speak.v1.types import SpeakV1Text

from tests.simulator.conftest import UTTERANCES, eventually, quick
from tests.simulator.sounds import PCM, buzz, frames, spoken
from voicegw_sidecar.simulator import Failure, FailureKind, Listening, Simulator, Speaking, frames_sha256

# the SDK imports deprecated names of its WebSocket library when it first connects
pytestmark = [
    pytest.mark.filterwarnings("ignore:websockets.*is deprecated:DeprecationWarning"),
]

LISTEN = {"model": "nova-3", "encoding": "linear16", "sample_rate": "16000", "punctuate": "true"}


def _environment(simulator: Simulator) -> DeepgramClientEnvironment:
    http = simulator.base_url("deepgram")
    return DeepgramClientEnvironment(base=http, production=http.replace("http", "ws"), agent=http, agent_rest=http)


@pytest.fixture
def client(simulator: Simulator) -> AsyncDeepgramClient:
    return AsyncDeepgramClient(api_key="k", environment=_environment(simulator))


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def _listen(
    simulator: Simulator, http: aiohttp.ClientSession, audio: bytes, **query: str
) -> tuple[list[dict[str, Any]], int | None]:
    """Send all audio and CloseStream; return the messages and the close code."""
    address = f"{simulator.base_url('deepgram')}/v1/listen"
    async with http.ws_connect(address, params=LISTEN | query) as socket:
        for frame in frames(audio):
            await socket.send_bytes(frame)
        await socket.send_str('{"type":"CloseStream"}')
        messages = [msgspec.json.decode(message.data) async for message in socket]
        return messages, socket.close_code


def _finals(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        message
        for message in messages
        if message["type"] == "Results" and message["is_final"] and message["channel"]["alternatives"][0]["transcript"]
    ]


async def test_sdk_hears_interim_and_final_results(simulator: Simulator, client: AsyncDeepgramClient) -> None:
    async with client.listen.v1.connect(
        model="nova-3", encoding="linear16", sample_rate=16000, interim_results="true", vad_events="true",
        punctuate="true", endpointing=25,
    ) as connection:  # fmt: skip
        for frame in frames(buzz()):
            await connection.send_media(frame)
        await connection.send_close_stream()
        received: list[Any] = [message async for message in connection]

    assert [message.type for message in received][:2] == ["SpeechStarted", "Results"]
    final = next(message for message in received if message.type == "Results" and message.is_final)
    assert final.speech_final
    assert final.channel.alternatives[0].transcript == UTTERANCES[0]
    assert final.channel.alternatives[0].words[-1].end == pytest.approx(0.8, abs=0.03)
    assert received[-1].type == "Metadata"
    assert received[-1].duration == pytest.approx(1.3)
    [connected, utterance] = simulator.ledger.entries("deepgram.listen")
    assert connected.audio_in_s == pytest.approx(1.3)
    assert connected.headers["authorization"] == "Token k"
    assert utterance.key == "0"
    assert utterance.speech_end_ns is not None
    assert utterance.final_ns is not None
    assert utterance.speech_end_ns < utterance.final_ns


def test_synchronous_sdk_listens_too() -> None:
    ready, done = threading.Event(), threading.Event()
    address: list[DeepgramClientEnvironment] = []

    async def serve() -> None:
        async with Simulator(quick()) as simulator:
            address.append(_environment(simulator))
            ready.set()
            await asyncio.to_thread(done.wait, 10)

    server = threading.Thread(target=lambda: asyncio.run(serve()))
    server.start()
    try:
        assert ready.wait(10)
        client = DeepgramClient(api_key="k", environment=address[0])
        with client.listen.v1.connect(model="nova-3", encoding="linear16", sample_rate=16000) as connection:
            for frame in frames(buzz()):
                connection.send_media(frame)
            connection.send_close_stream()
            kinds = [getattr(message, "type", "") for message in connection]
        assert kinds[-1] == "Metadata"
    finally:
        done.set()
        server.join(10)


@pytest.mark.parametrize("endpointing", ["10", "25", "300"])
async def test_end_of_real_speech_is_found(simulator: Simulator, http: aiohttp.ClientSession, endpointing: str) -> None:
    audio = spoken("Where is my order")
    messages, code = await _listen(simulator, http, audio, endpointing=endpointing)

    [final] = _finals(messages)
    assert final["speech_final"]
    speech_end_s = PCM.seconds(len(audio)) - 0.6
    words = final["channel"]["alternatives"][0]["words"]
    assert words[0]["start"] == pytest.approx(0.3, abs=0.1)
    assert words[-1]["end"] == pytest.approx(speech_end_s, abs=0.1)
    assert code == 1000
    [utterance] = simulator.ledger.work("deepgram.listen")
    assert utterance.speech_end_ns is not None


async def test_two_utterances_take_their_turns(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    messages, _ = await _listen(simulator, http, spoken("Where is it") + spoken("Thank you"), utterance_end_ms="300")
    assert [final["channel"]["alternatives"][0]["transcript"] for final in _finals(messages)] == list(UTTERANCES)
    assert [message["type"] for message in messages].count("UtteranceEnd") == 2
    assert [entry.key for entry in simulator.ledger.work("deepgram.listen")] == ["0", "1"]


async def test_silence_is_finalised_about_every_five_seconds(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    messages, _ = await _listen(simulator, http, buzz(length_s=0.0, before_s=11.0))
    empty = [message for message in messages if message["type"] == "Results"]
    assert [(message["start"], message["duration"]) for message in empty] == [(0.0, 5.0), (5.0, 5.0)]
    assert all(message["is_final"] and not message["speech_final"] for message in empty)
    assert simulator.ledger.work("deepgram.listen") == []


async def test_finalize_answers_at_once(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    address = f"{simulator.base_url('deepgram')}/v1/listen"
    async with http.ws_connect(address, params=LISTEN) as socket:
        for frame in frames(buzz(after_s=0.0)):
            await socket.send_bytes(frame)
        await socket.send_str('{"type":"KeepAlive"}')
        await socket.send_str('{"type":"Finalize"}')
        answered = msgspec.json.decode(await socket.receive_str())
        assert answered["from_finalize"]
        assert answered["channel"]["alternatives"][0]["transcript"] == UTTERANCES[0]
        await socket.send_str("nonsense")
        assert msgspec.json.decode(await socket.receive_str())["variant"] == "SchemaError"


async def test_frames_are_hashed_both_ways(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    sent: list[str | bytes] = [*frames(buzz()), '{"type":"CloseStream"}']
    async with http.ws_connect(f"{simulator.base_url('deepgram')}/v1/listen", params=LISTEN) as socket:
        for frame in sent:
            await (socket.send_str(frame) if isinstance(frame, str) else socket.send_bytes(frame))
        received = [message.data async for message in socket]
    connected = simulator.ledger.entries("deepgram.listen", key="")[0]
    assert connected.received_sha256 == frames_sha256(sent)
    assert connected.sent_sha256 == frames_sha256(received)
    assert (connected.frames_received, connected.frames_sent) == (len(sent), len(received))
    await eventually(lambda: connected.close_code == 1000)


async def test_idle_stream_is_closed(http: aiohttp.ClientSession) -> None:
    async with (
        Simulator(quick(listen=Listening(idle_close_s=0.05))) as simulator,
        http.ws_connect(f"{simulator.base_url('deepgram')}/v1/listen", params=LISTEN) as socket,
    ):
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1011


async def test_handshake_refusal_has_the_shape_of_deepgram(
    simulator: Simulator, client: AsyncDeepgramClient, http: aiohttp.ClientSession
) -> None:
    simulator.fail_next("deepgram.listen", Failure(FailureKind.STATUS, status=402), count=2)
    with pytest.raises(ApiError) as caught:
        async with client.listen.v1.connect(model="nova-3"):
            pass
    assert caught.value.status_code == 402
    async with http.get(f"{simulator.base_url('deepgram')}/v1/listen", headers={"Upgrade": "websocket"}) as response:
        assert response.status == 402
        assert response.headers["dg-request-id"]
        assert set(await response.json()) == {"err_code", "err_msg", "request_id"}


async def test_sdk_speaks(simulator: Simulator, client: AsyncDeepgramClient) -> None:
    audio, kinds = b"", []
    async with client.speak.v1.connect(model="aura-2-andromeda-en", encoding="linear16", sample_rate=24000) as voice:
        for word in ("Hello ", "there ", "you "):
            await voice.send_text(SpeakV1Text(text=word))
        await voice.send_flush()
        async for message in voice:
            if isinstance(message, bytes):
                audio += message
                continue
            kinds.append(message.type)
            if message.type == "Flushed":
                break
        await voice.send_close()

    assert kinds == ["Metadata", "Flushed"]
    assert len(audio) == pytest.approx(len("Hello there you") * 0.02 * 48_000, abs=48)
    [segment] = simulator.ledger.work("deepgram.speak")
    assert segment.characters == len("Hello there you")
    assert segment.first_text_ns is not None
    assert segment.first_output_ns is not None
    assert segment.ended_ns is not None


async def test_clear_forgets_what_was_not_spoken(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(f"{simulator.base_url('deepgram')}/v1/speak") as socket:
        assert msgspec.json.decode(await socket.receive_str())["type"] == "Metadata"
        await socket.send_str(msgspec.json.encode({"type": "Speak", "text": "Never said"}).decode())
        await socket.send_str('{"type":"Clear"}')
        assert msgspec.json.decode(await socket.receive_str())["type"] == "Cleared"
        await socket.send_str('{"type":"What"}')
        assert msgspec.json.decode(await socket.receive_str())["type"] == "Warning"
        await socket.send_str('{"type":"Close"}')
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
    assert simulator.ledger.work("deepgram.speak")[0].audio_out_s is None


async def test_client_that_leaves_after_close_is_heard_while_speech_goes_on(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    """As LiveKit does after a barge-in: Flush, Close, and then the WebSocket's own close without reading on."""
    simulator.script = quick(speak=Speaking(first_audio_ms=1.0, s_per_char=1.0, pace=1.0))
    async with http.ws_connect(f"{simulator.base_url('deepgram')}/v1/speak") as socket:
        for message in ({"type": "Speak", "text": "Too long."}, {"type": "Flush"}, {"type": "Close"}):
            await socket.send_str(msgspec.json.encode(message).decode())
        await socket.receive()
    [connected, segment] = simulator.ledger.entries("deepgram.speak")
    await eventually(lambda: segment.hung_up_ns is not None)
    assert (connected.close_code, connected.hung_up_ns, segment.ended_ns) == (1000, None, None)

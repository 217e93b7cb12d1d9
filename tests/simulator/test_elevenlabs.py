"""The simulated ElevenLabs, driven by bare sockets: what the clients' tests do not see."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
import pytest

from tests.simulator.conftest import UTTERANCES, eventually, quick
from tests.simulator.sounds import buzz, frames
from voicegw_sidecar.simulator import Listening, Simulator, Speaking

MULTI = "v1/text-to-speech/v/multi-stream-input?model_id=eleven_flash_v2_5&output_format=pcm_16000"


async def _told(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    received: dict[str, Any] = msgspec.json.decode(await socket.receive_str())
    return received


async def test_contexts_do_not_wait_for_each_other(simulator: Simulator) -> None:
    base = simulator.base_url("elevenlabs")
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{base}/{MULTI}") as socket:
        for context, text in (("long", "Word " * 60), ("short", "Hi.")):
            await socket.send_json({"text": " ", "context_id": context})
            await socket.send_json({"text": text, "context_id": context, "flush": True})
            await socket.send_json({"context_id": context, "close_context": True})
        ends = []
        while len(ends) < 2:
            message = await _told(socket)
            if message.get("isFinal"):
                ends.append(message["contextId"])
        assert ends == ["short", "long"]
    entries = {entry.key: entry for entry in simulator.ledger.work("elevenlabs.contexts")}
    assert entries["long"].characters == len(("Word " * 60).strip())


async def test_second_close_cuts_a_context_off_and_the_socket_lives_on(simulator: Simulator) -> None:
    simulator.script = quick(tts=Speaking(first_audio_ms=1.0, s_per_char=1.0, pace=1.0))
    base = simulator.base_url("elevenlabs")
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{base}/{MULTI}") as socket:
        await socket.send_json({"text": "Never spoken to its end.", "context_id": "a"})
        assert (await _told(socket))["contextId"] == "a"
        for _ in range(2):
            await socket.send_json({"context_id": "a", "close_context": True})
        [cut] = simulator.ledger.work("elevenlabs.contexts")
        await eventually(lambda: cut.ended_ns is not None)
        await socket.send_json({"text": "B", "context_id": "b"})
        while (await _told(socket))["contextId"] == "a":
            pass


@pytest.mark.parametrize(
    ("frame", "code"), [("nonsense", "invalid_request"), ('{"text":"x","context_id":"6"}', "rate_limit_exceeded")]
)
async def test_errors_are_a_message_and_then_a_close(simulator: Simulator, frame: str, code: str) -> None:
    simulator.script = quick(tts=Speaking(first_audio_ms=5000.0))
    base = simulator.base_url("elevenlabs")
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{base}/{MULTI}") as socket:
        for number in range(5):
            await socket.send_json({"text": "x", "context_id": str(number)})
        await socket.send_str(frame)
        assert (await _told(socket))["error"] == code
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1008


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "v1/text-to-speech/v", 422),
        ("POST", "v1/speech-to-text", 422),
        ("GET", "v1/text-to-speech/v/stream-input", 400),
        ("GET", "v1/nowhere", 404),
    ],
)
async def test_refusals_have_its_shape(simulator: Simulator, method: str, path: str, status: int) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"{simulator.base_url('elevenlabs')}/{path}", data=b"{") as refused,
    ):
        assert refused.status == status
        assert set((await refused.json())["detail"]) == {"type", "code", "message", "status", "request_id", "param"}


async def test_scribe_commits_at_the_end_of_speech_or_when_told(simulator: Simulator) -> None:
    simulator.script = quick(listen=Listening(final_ms=1.0, utterances=UTTERANCES))
    query = "model_id=scribe_v2_realtime&audio_format=pcm_16000&include_timestamps=true"
    base = f"{simulator.base_url('elevenlabs')}/v1/speech-to-text/realtime?{query}"
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{base}&commit_strategy=vad") as socket:
        assert (await _told(socket))["message_type"] == "session_started"
        await socket.send_json({"message_type": "input_audio_chunk", "audio_base_64": "?"})
        assert (await _told(socket))["message_type"] == "input_error"
        for data in frames(buzz()):
            audio = msgspec.json.decode(msgspec.json.encode(data))
            await socket.send_json({"message_type": "input_audio_chunk", "audio_base_64": audio})
        kinds = []
        while len(kinds) < 2 or kinds[-1]["message_type"] != "committed_transcript_with_timestamps":
            kinds.append(await _told(socket))
        await socket.send_json({"message_type": "input_audio_chunk", "commit": True})
        assert (await _told(socket))["text"] == ""
    assert [kind["text"] for kind in kinds[-2:]] == [UTTERANCES[0]] * 2
    assert kinds[-1]["words"][-1]["end"] == pytest.approx(0.8, abs=0.02)
    [utterance] = simulator.ledger.work("elevenlabs.scribe")
    assert utterance.audio_in_s == pytest.approx(1.0, abs=0.05)  # 0.2 s before, 0.6 s of it, 0.2 s to be sure
    assert None not in (utterance.speech_end_ns, utterance.final_ns)

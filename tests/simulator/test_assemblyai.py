"""The simulated AssemblyAI, driven by bare sockets and requests: what the clients' tests do not see."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
import pytest

from tests.simulator.conftest import UTTERANCES, eventually, quick
from tests.simulator.sounds import buzz, frames
from voicegw_sidecar.clock import SystemClock
from voicegw_sidecar.simulator import Listening, Simulator

QUERY = "v3/ws?speech_model=universal-streaming-english&sample_rate=16000&format_turns=true"


async def _told(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    received: dict[str, Any] = msgspec.json.decode(await socket.receive_str())
    return received


async def test_turns_end_twice_where_they_are_formatted(simulator: Simulator) -> None:
    base = simulator.base_url("assemblyai")
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{base}/{QUERY}") as socket:
        begin = await _told(socket)
        assert (begin["type"], begin["configuration"]["model"]) == ("Begin", "universal-streaming-english")
        for frame in frames(buzz(0.6, 0.2, 0.1)):
            await socket.send_bytes(frame)
        await socket.send_json({"type": "UpdateConfiguration", "min_turn_silence": 100})
        await socket.send_json({"type": "ForceEndpoint"})
        await socket.send_json({"type": "Terminate"})
        told = [msgspec.json.decode(message.data) async for message in socket]
        assert socket.close_code == 1000
    assert told[0] == {"type": "SpeechStarted", "timestamp": 200}
    turns = [message for message in told if message["type"] == "Turn"]
    ends = [(turn["transcript"], turn["turn_is_formatted"]) for turn in turns if turn["end_of_turn"]]
    assert ends == [("where is my order", False), (UTTERANCES[0], True)]
    assert {turn["turn_order"] for turn in turns} == {0}
    assert turns[-1]["words"][-1]["end"] == pytest.approx(800, abs=20)
    assert told[-1] == {"type": "Termination", "audio_duration_seconds": 1, "session_duration_seconds": 1}
    [utterance] = simulator.ledger.work("assemblyai.live")
    assert None not in (utterance.speech_end_ns, utterance.final_ns, utterance.ended_ns)


async def test_unknown_message_is_an_error_and_leaving_is_noted(simulator: Simulator) -> None:
    base = simulator.base_url("assemblyai")
    async with aiohttp.ClientSession() as http:
        socket = await http.ws_connect(f"{base}/{QUERY}")
        await socket.send_str("nonsense")
        assert [(await _told(socket))["type"] for _ in range(2)] == ["Begin", "Error"]
        for frame in frames(buzz(0.6, 0.0, 0.0)):
            await socket.send_bytes(frame)
        while (await _told(socket))["type"] != "SpeechStarted":
            pass
        await socket.close()
    [utterance] = simulator.ledger.work("assemblyai.live")
    await eventually(lambda: utterance.hung_up_ns is not None)


class MovableClock(SystemClock):
    """A clock that a test can move on."""

    moved_ns = 0

    def monotonic_ns(self) -> int:
        return super().monotonic_ns() + self.moved_ns


async def test_job_is_queued_processed_and_completed() -> None:
    clock, seen, job = MovableClock(), [], {}
    script = quick(transcription=Listening(final_ms=1_000_000.0, utterances=UTTERANCES))
    async with Simulator(script, clock=clock) as simulator, aiohttp.ClientSession() as http:
        base = f"{simulator.base_url('assemblyai')}/v2"
        async with http.post(f"{base}/transcript", json={"audio_url": "https://example.com/a.mp3"}) as answer:
            job = await answer.json()
        for moved_s in (0, 500, 1000):
            clock.moved_ns = moved_s * 10**9
            async with http.get(f"{base}/transcript/{job['id']}") as answer:
                job = await answer.json()
                seen.append(job["status"])
        [entry] = simulator.ledger.entries("assemblyai.transcript")
    assert seen == ["queued", "processing", "completed"]
    assert (job["text"], job["audio_duration"], job["speech_model_used"]) == (UTTERANCES[0], 10, "universal-2")
    assert entry.final_ns is not None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "v3/ws", 400),
        ("POST", "v2/upload", 422),
        ("POST", "v2/transcript", 400),
        ("GET", "v2/transcript/nobody", 404),
    ],
)
async def test_refusals_have_its_shape(simulator: Simulator, method: str, path: str, status: int) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, f"{simulator.base_url('assemblyai')}/{path}") as refused,
    ):
        assert refused.status == status
        assert set(await refused.json()) == {"error"}

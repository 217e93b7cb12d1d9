"""LiveKit's AssemblyAI plugin through the sidecar."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator

import aiohttp
import pytest
from livekit import rtc
from livekit.agents import APIConnectOptions, stt
from livekit.agents.utils import http_context
from livekit.plugins import assemblyai

from tests.clients.conftest import Bench
from tests.clients.test_assemblyai_sdk import check_session
from tests.simulator.conftest import UTTERANCES
from tests.simulator.sounds import PCM, buzz, frames
from voicegw_sidecar.simulator import Failure, FailureKind

# the plugin leaves some of its sockets to the garbage collector
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ONCE = APIConnectOptions(max_retry=0, timeout=5)


@pytest.fixture(autouse=True)
async def http_session() -> AsyncIterator[None]:
    async with http_context.open():
        yield
    gc.collect()


@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_live_transcription(bench: Bench, scheme: str) -> None:
    base = bench.bases["assemblyai"].replace("http", scheme)
    recogniser = assemblyai.STT(api_key="k", base_url=base)
    stream = recogniser.stream(conn_options=ONCE)
    for data in frames(buzz(0.6, 0.2, 0.8)):
        stream.push_frame(rtc.AudioFrame(data, PCM.rate_hz, 1, len(data) // 2))
    stream.end_input()
    events = [event async for event in stream]
    await stream.aclose()
    await recogniser.aclose()
    finals = [e.alternatives[0].text for e in events if e.type == stt.SpeechEventType.FINAL_TRANSCRIPT]
    assert finals == [UTTERANCES[0]]
    assert events[0].type == stt.SpeechEventType.START_OF_SPEECH
    rows = await bench.sidecar.rows(2)
    assert [row.status for row in rows] == ["ok", "idle"]
    check_session(bench, rows, 1, "universal-3-6-pro", "universal-3-5-pro-streaming")
    assert {row.cost_source for row in rows} == {"supplement"}
    await bench.check_wire()


@pytest.mark.parametrize("status", [401, 402, 429, 500])
async def test_a_refused_handshake_keeps_its_status(bench: Bench, status: int) -> None:
    bench.simulator.fail_next("assemblyai.live", Failure(FailureKind.STATUS, status=status))
    recogniser = assemblyai.STT(api_key="k", base_url=bench.bases["assemblyai"])
    stream = recogniser.stream(conn_options=ONCE)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:  # this plugin passes it on as it is
        _ = [event async for event in stream]
    assert caught.value.status == status
    await stream.aclose()
    await recogniser.aclose()
    [row] = await bench.sidecar.rows(1)
    assert (row.status, row.http_status, row.cost_nanousd) == ("upstream_error", status, 0)

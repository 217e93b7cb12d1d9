"""The simulator itself: failures of every kind, its control addresses, its end, and its process."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import aiohttp
import msgspec
import openai
import pytest
from aiohttp.test_utils import make_mocked_request
from openai import AsyncOpenAI

from tests.simulator.conftest import ANSWER, eventually, quick
from tests.simulator.sounds import buzz, frames
from voicegw_sidecar.clock import SystemClock
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.simulator import Entry, Failure, FailureKind, Ledger, Rule, Simulator, Thinking
from voicegw_sidecar.simulator.visit import Visit

CHAT: Any = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": True}


@pytest.fixture
async def http(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://{simulator.host}:{simulator.port}") as session:
        yield session


async def _ask(http: aiohttp.ClientSession) -> bytes:
    async with http.post("/openai/v1/chat/completions", json=CHAT) as response:
        return await response.read()


async def test_reset_before_and_during_the_answer(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    simulator.fail_next("openai.chat", Failure(FailureKind.RESET))
    with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        await _ask(http)
    simulator.fail_next("openai.chat", Failure(FailureKind.RESET, after=3))
    with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientOSError)):
        await _ask(http)

    before, during = simulator.ledger.entries()
    assert (before.status, before.first_output_ns, before.ended_ns) == (None, None, None)
    assert (during.status, during.ended_ns, during.failure) == (200, None, "reset")
    assert during.first_output_ns is not None
    assert before.hung_up_ns is None
    assert during.hung_up_ns is None


async def test_reset_is_a_reset_on_the_wire(simulator: Simulator) -> None:
    simulator.fail_next("openai.models", Failure(FailureKind.RESET))
    reader, writer = await asyncio.open_connection(simulator.host, simulator.port)
    writer.write(b"GET /openai/v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


@pytest.mark.parametrize("streamed", [True, False])
async def test_truncated_body(simulator: Simulator, http: aiohttp.ClientSession, streamed: bool) -> None:
    simulator.fail_next("openai.chat", Failure(FailureKind.TRUNCATE, after=1))
    with pytest.raises(aiohttp.ClientPayloadError):
        async with http.post("/openai/v1/chat/completions", json=CHAT | {"stream": streamed}) as response:
            await response.read()


async def test_sdk_sees_a_truncated_stream(simulator: Simulator) -> None:
    simulator.fail_next("openai.chat", Failure(FailureKind.TRUNCATE, after=2))
    async with AsyncOpenAI(api_key="k", base_url=f"{simulator.base_url('openai')}/v1", max_retries=0) as client:
        stream = await client.chat.completions.create(**CHAT)
        with pytest.raises(openai.APIConnectionError):
            _ = [chunk async for chunk in stream]


@pytest.mark.parametrize("after", [0, 2])
async def test_hang_is_noted_when_the_client_gives_up(
    simulator: Simulator, http: aiohttp.ClientSession, after: int
) -> None:
    simulator.fail_next("openai.chat", Failure(FailureKind.HANG, after=after))
    timeout = aiohttp.ClientTimeout(sock_read=0.15)
    with pytest.raises(aiohttp.SocketTimeoutError):
        async with http.post("/openai/v1/chat/completions", json=CHAT, timeout=timeout) as response:
            await response.read()
    [entry] = simulator.ledger.entries()
    await eventually(lambda: entry.hung_up_ns is not None)
    assert entry.ended_ns is None


async def test_slow_body_comes_byte_by_byte(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    simulator.fail_next("openai.models", Failure(FailureKind.SLOW, bytes_per_s=20_000.0))
    async with http.get("/openai/v1/models") as response:
        assert (await response.json())["object"] == "list"
    assert simulator.ledger.entries()[0].failure == "slow"


async def test_client_that_leaves_a_stream_is_noted(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    simulator.script = quick(chat=Thinking(first_token_ms=1.0, token_interval_ms=50.0, answers=(ANSWER,)))
    async with http.post("/openai/v1/chat/completions", json=CHAT) as response:
        await response.content.readany()
        response.close()
    [entry] = simulator.ledger.entries()
    await eventually(lambda: entry.hung_up_ns is not None)
    assert entry.ended_ns is None
    assert not entry.usage_reported
    assert entry.output_tokens is not None
    assert entry.output_tokens < len(ANSWER.split())


@pytest.mark.parametrize(
    "failure",
    [
        Failure(FailureKind.CLOSE, code=1011, after=1),
        Failure(FailureKind.CLOSE, code=4402, reason="no credit"),
        Failure(FailureKind.TRUNCATE, after=1),
        Failure(FailureKind.RESET, after=1),
    ],
    ids=str,
)
async def test_websocket_breaks_after_so_many_messages(
    simulator: Simulator, http: aiohttp.ClientSession, failure: Failure
) -> None:
    simulator.fail_next("deepgram.listen", failure)
    query = {"encoding": "linear16", "sample_rate": "16000", "vad_events": "true"}
    async with http.ws_connect("/deepgram/v1/listen", params=query) as socket:
        received = 0
        try:
            for frame in frames(buzz()):
                await socket.send_bytes(frame)
            async for _ in socket:
                received += 1
        except ConnectionError:
            pass
        assert received <= failure.after
        if failure.kind == FailureKind.CLOSE:
            assert (received, socket.close_code) == (failure.after, failure.code)
    connected = simulator.ledger.entries("deepgram.listen", key="")[0]
    assert connected.failure == failure.kind
    await eventually(lambda: connected.ended_ns is not None)
    assert connected.hung_up_ns is None


async def test_websocket_handshake_can_hang(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    simulator.fail_next("cartesia.tts", Failure(FailureKind.HANG))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await http.ws_connect("/cartesia/tts/websocket")
    await eventually(lambda: simulator.ledger.entries()[0].hung_up_ns is not None)


async def test_orders_come_first_and_run_out(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    refused = Failure(FailureKind.STATUS, status=503)
    simulator.script = quick(rules=(Rule("openai.models", refused, match="x-poor", every=2),))
    simulator.fail_next("openai.models", Failure(FailureKind.STATUS, status=500), count=2, match="x-unlucky")
    seen = []
    for header in ("x-poor", "x-unlucky", "x-lucky", "x-poor", "x-unlucky", "x-unlucky", "x-poor"):
        async with http.get("/openai/v1/models", headers={"Mark": header}) as response:
            seen.append(response.status)
    assert seen == [200, 500, 200, 503, 500, 200, 200]


@pytest.mark.parametrize(
    ("endpoint", "kind"),
    [("openai.nothing", FailureKind.HANG), ("openai.chat", FailureKind.CLOSE), ("deepgram.speak", FailureKind.SLOW)],
)
async def test_failure_that_cannot_be_played_is_refused(simulator: Simulator, endpoint: str, kind: FailureKind) -> None:
    with pytest.raises(BadRequest):
        simulator.fail_next(endpoint, Failure(kind))


async def test_another_process_can_steer_it(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    order = {"endpoint": "openai.models", "failure": {"kind": "status", "status": 402, "body": "[]"}}
    async with http.post("/_simulator/fail", json=order) as response:
        assert response.status == 204
    async with http.get("/openai/v1/models") as response:
        assert (response.status, await response.json()) == (402, [])
    async with http.get("/_simulator/ledger") as response:
        [entry] = (await response.json())["entries"]
        assert (entry["endpoint"], entry["failure"], entry["status"]) == ("openai.models", "status", 402)
    async with http.delete("/_simulator/ledger") as response:
        assert response.status == 204
    assert simulator.ledger.entries() == []
    async with http.put("/_simulator/script", data=msgspec.json.encode(quick(keys=("k",)))) as response:
        assert response.status == 204
    assert simulator.script.keys == ("k",)
    for body in (b"{", b'{"endpoint":"nowhere","failure":{"kind":"hang"}}'):
        async with http.post("/_simulator/fail", data=body) as response:
            assert response.status == 400
    async with http.get("/_simulator/what") as response:
        assert response.status == 404


async def test_unknown_addresses_are_refused_as_their_provider_does(http: aiohttp.ClientSession) -> None:
    async with http.get("/deepgram/v9/listen") as response:
        assert (response.status, "err_code" in await response.json()) == (404, True)
    async with http.get("/openai/v1/nothing") as response:
        assert (response.status, "error" in await response.json()) == (404, True)
    async with http.get("/deepgram/v1/listen") as response:
        assert response.status == 400


async def test_connections_are_numbered(simulator: Simulator, http: aiohttp.ClientSession) -> None:
    await _ask(http)
    await _ask(http)
    async with aiohttp.ClientSession(f"http://{simulator.host}:{simulator.port}") as other:
        await _ask(other)
    assert [entry.connection for entry in simulator.ledger.entries()] == [1, 1, 2]


async def test_end_closes_open_sockets(http: aiohttp.ClientSession) -> None:
    async with Simulator(quick()) as simulator:
        with pytest.raises(BadRequest):
            simulator.base_url("acme")
        socket = await http.ws_connect(f"{simulator.base_url('cartesia')}/tts/websocket")
        reading = asyncio.create_task(socket.receive())
    assert (await reading).type is aiohttp.WSMsgType.CLOSE
    assert socket.close_code == 1001


async def test_end_does_not_wait_for_a_client_that_does_not_read(http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(5.0):
        async with Simulator(quick()) as simulator:
            simulator.fail_next("openai.chat", Failure(FailureKind.HANG))
            hanging = asyncio.create_task(http.post(f"{simulator.base_url('openai')}/v1/chat/completions", json=CHAT))
            socket = await http.ws_connect(f"{simulator.base_url('cartesia')}/tts/websocket", autoclose=False)
            await eventually(lambda: len(simulator.ledger.entries()) == 2)
        with pytest.raises(aiohttp.ClientError):
            await hanging
        await socket.close()


async def test_it_runs_as_a_process_until_sigterm() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voicegw_sidecar.simulator", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    port = msgspec.json.decode(await process.stdout.readline())["port"]
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}/openai/v1/models") as response:
        assert response.status == 200
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


def _delays(seed: int, jitter: float) -> list[float]:
    script = quick(seed=seed, jitter=jitter)
    visit = Visit(
        request=make_mocked_request("GET", "/"),
        entry=Entry(number=1, provider="openai", endpoint="openai.chat", connection=1, started_ns=0),
        script=script,
        failure=None,
        ledger=Ledger(),
        rotation=Counter(),
        random=Random(script.seed),
        clock=SystemClock(),
        on_accept=lambda socket: None,
    )
    return [visit.delay_s(100.0) for _ in range(20)]


def test_jitter_is_bounded_and_follows_from_the_seed() -> None:
    assert _delays(seed=1, jitter=0.0) == [0.1] * 20
    assert _delays(seed=1, jitter=0.2) == _delays(seed=1, jitter=0.2) != _delays(seed=2, jitter=0.2)
    assert all(0.08 <= delay <= 0.12 for delay in _delays(seed=1, jitter=0.2))

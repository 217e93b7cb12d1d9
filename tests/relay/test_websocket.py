"""Relay laws over WebSocket: frames, pings, closes and refusals pass as they are, and no side stalls another."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import Request, Response, ServerConnection, serve

from tests.conftest import StartSidecar
from tests.sidecar import Sidecar, raw_server, read_request, send_raw

Behaviour = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def provider(behaviour: Behaviour, **options: object) -> AsyncIterator[str]:
    async with serve(behaviour, "127.0.0.1", 0, max_size=None, compression=None, **options) as server:  # type: ignore[arg-type]
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def address(sidecar: Sidecar, path: str = "/p/default/openai/v1/unknown") -> str:
    return sidecar.url.replace("http", "ws", 1) + path


async def echo(socket: ServerConnection) -> None:
    async for message in socket:
        await socket.send(message)


async def test_frames_pass_unchanged_in_kind_order_and_content(start_sidecar: StartSidecar) -> None:
    messages: list[str | bytes] = ["", "text", "ü€𝄞", b"", b"\x00\xff", os.urandom(70_000), os.urandom(5 * 1024 * 1024)]
    async with provider(echo) as url, start_sidecar(openai=url) as sidecar:
        async with connect(address(sidecar), max_size=None) as agent:
            assert agent.protocol.extensions == []
            for message in messages:
                await agent.send(message)
                assert await agent.recv() == message
        [row] = await sidecar.rows(1)
    assert (row.status, row.modality, row.http_status, row.cost_nanousd) == ("ok", None, 101, None)


async def test_pings_are_answered_by_the_provider_not_by_the_relay(start_sidecar: StartSidecar) -> None:
    pinged: list[bytes] = []

    async def behaviour(socket: ServerConnection) -> None:
        waiter = await socket.ping(b"from provider")
        await waiter
        pinged.append(b"agent answered")
        await socket.wait_closed()

    async with provider(behaviour, ping_interval=None) as url, start_sidecar(openai=url) as sidecar:
        async with connect(address(sidecar), ping_interval=None) as agent:
            await (await agent.ping(b"from agent"))
    assert pinged == [b"agent answered"]


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "bye"), (1008, "policy"), (1011, "oops"), (4402, "ünï")]
)
async def test_the_providers_close_reaches_the_agent(start_sidecar: StartSidecar, code: int, reason: str) -> None:
    async def behaviour(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.close(code, reason)

    async with provider(behaviour) as url, start_sidecar(openai=url) as sidecar:
        async with connect(address(sidecar)) as agent:
            await agent.send("x")
            with pytest.raises(websockets.ConnectionClosed) as caught:
                await agent.recv()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (code, reason)
        [row] = await sidecar.rows(1)
    assert row.status == ("ok" if code in (1000, 1001) else "upstream_error")


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "going"), (4000, "mine")])
async def test_the_agents_close_reaches_the_provider(start_sidecar: StartSidecar, code: int, reason: str) -> None:
    seen: asyncio.Queue[tuple[int | None, str | None]] = asyncio.Queue()

    async def behaviour(socket: ServerConnection) -> None:
        await socket.wait_closed()
        await seen.put((socket.close_code, socket.close_reason))

    async with provider(behaviour) as url, start_sidecar(openai=url) as sidecar:
        agent = await connect(address(sidecar))
        await agent.close(code, reason)
        assert agent.close_code == code
        assert await asyncio.wait_for(seen.get(), 2) == (code, reason)
        [row] = await sidecar.rows(1)
    assert row.status == "ok"


async def test_a_provider_that_drops_the_socket_drops_it_for_the_agent(start_sidecar: StartSidecar) -> None:
    async def behaviour(socket: ServerConnection) -> None:
        await socket.recv()
        socket.transport.abort()

    async with provider(behaviour) as url, start_sidecar(openai=url) as sidecar:
        async with connect(address(sidecar)) as agent:
            await agent.send("x")
            with pytest.raises(websockets.ConnectionClosed) as caught:
                await asyncio.wait_for(agent.recv(), 3)
            assert caught.value.rcvd is None
        [row] = await sidecar.rows(1)
    assert row.status == "upstream_error"


async def test_an_agent_that_drops_the_socket_closes_the_provider_at_once(start_sidecar: StartSidecar) -> None:
    gone = asyncio.Event()

    async def behaviour(socket: ServerConnection) -> None:
        await socket.wait_closed()
        gone.set()

    async with provider(behaviour) as url, start_sidecar(openai=url) as sidecar:
        async with connect(address(sidecar)) as agent:
            await agent.send("x")
            agent.transport.abort()
            await asyncio.wait_for(gone.wait(), 2)
        [row] = await sidecar.rows(1)
    assert row.status == "cancelled"


@pytest.mark.parametrize("status", [401, 402, 429, 503])
async def test_a_refused_handshake_is_refused_with_the_providers_own_answer(
    start_sidecar: StartSidecar, status: int
) -> None:
    body = b'{"err_code":"INVALID_AUTH","err_msg":"no","request_id":"r"}'

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        head = f"HTTP/1.1 {status} Whatever It Says\r\nContent-Type: application/json\r\ndg-request-id: r\r\n"
        writer.write(f"{head}Retry-After: 7\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    async with raw_server(upstream) as url, start_sidecar(deepgram=url) as sidecar:
        with pytest.raises(websockets.InvalidStatus) as caught:
            await connect(address(sidecar, "/p/default/deepgram/v1/listen?model=nova-3"))
        [row] = await sidecar.rows(1)
    answer = caught.value.response
    assert (answer.status_code, answer.reason_phrase, answer.body) == (status, "Whatever It Says", body)
    assert (answer.headers["dg-request-id"], answer.headers["Retry-After"]) == ("r", "7")
    assert "X-VoiceGW-Error" not in answer.headers
    assert (row.status, row.http_status, row.error, row.modality, row.cost_nanousd) == (
        "upstream_error", status, "INVALID_AUTH", "stt", 0)  # fmt: skip


async def test_a_provider_that_cannot_be_dialled_refuses_the_upgrade(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(deepgram="http://127.0.0.1:1") as sidecar:
        with pytest.raises(websockets.InvalidStatus) as caught:
            await connect(address(sidecar, "/deepgram/v1/listen?model=nova-3"))
        [row] = await sidecar.rows(1)
    assert caught.value.response.status_code == 502
    assert caught.value.response.headers["X-VoiceGW-Error"] == "upstream_unreachable"
    assert b"err_msg" in (caught.value.response.body or b"")
    assert (row.status, row.error) == ("upstream_error", "upstream_unreachable")


async def test_handshake_headers_and_subprotocols_pass_both_ways(start_sidecar: StartSidecar) -> None:
    seen: list[Request] = []

    def process(socket: ServerConnection, request: Request, response: Response) -> Response:
        seen.append(request)
        response.headers["dg-request-id"] = "r-1"
        response.headers["Set-Cookie"] = "a=b"
        return response

    async with (
        provider(echo, subprotocols=["b"], process_response=process) as url,
        start_sidecar(openai=url) as sidecar,
    ):
        headers = {"X-Mine": "1", "X-LiveKit-Worker-Token": "t", "Authorization": "Bearer k"}
        async with connect(address(sidecar) + "?a=%2F", subprotocols=["a", "b"], additional_headers=headers) as agent:  # type: ignore[list-item]
            assert agent.subprotocol == "b"
            assert agent.response is not None
            got = agent.response.headers
    assert (got["dg-request-id"], got["X-VoiceGW-Project"], "Set-Cookie" in got) == ("r-1", "default", False)
    request = seen[0]
    assert request.path == "/v1/unknown?a=%2F"
    assert (request.headers["X-Mine"], request.headers["Authorization"]) == ("1", "Bearer k")
    assert "X-LiveKit-Worker-Token" not in request.headers
    assert "Sec-WebSocket-Extensions" not in request.headers


async def test_a_message_over_the_limit_closes_both_sides_with_1009(start_sidecar: StartSidecar) -> None:
    seen: asyncio.Queue[int | None] = asyncio.Queue()

    async def behaviour(socket: ServerConnection) -> None:
        await socket.wait_closed()
        await seen.put(socket.close_code)

    async with provider(behaviour) as url, start_sidecar(openai=url) as sidecar:
        async with connect(address(sidecar), max_size=None) as agent:
            with contextlib.suppress(websockets.ConnectionClosed):
                await agent.send(b"x" * (17 * 1024 * 1024))
            with pytest.raises(websockets.ConnectionClosed):
                await asyncio.wait_for(agent.recv(), 5)
            assert agent.close_code == 1009
        assert await asyncio.wait_for(seen.get(), 5) == 1009


async def test_an_agent_that_stops_reading_stalls_only_itself(start_sidecar: StartSidecar) -> None:
    sent = 0

    async def behaviour(socket: ServerConnection) -> None:
        nonlocal sent
        if await socket.recv() == "echo":
            await socket.send("here")
            return
        with contextlib.suppress(websockets.ConnectionClosed):
            for _ in range(4000):
                await socket.send(b"x" * 50_000)
                sent += 50_000

    async with provider(behaviour) as url, start_sidecar(openai=url) as sidecar:
        key = "GET /openai/v1/unknown HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        key += "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        reader, writer = await send_raw(sidecar.url, key.encode())
        await reader.readuntil(b"\r\n\r\n")
        reader._transport.pause_reading()  # type: ignore[attr-defined]  # an agent that no longer reads
        writer.write(b"\x81\x82\x00\x00\x00\x00go")
        previous = -1
        while previous != sent:
            previous = sent
            await asyncio.sleep(0.3)
        assert 0 < sent < 60_000_000
        async with connect(address(sidecar)) as other:
            await other.send("echo")
            assert await asyncio.wait_for(other.recv(), 2) == "here"
        writer.transport.abort()


async def test_a_socket_that_never_said_anything_has_no_row_where_it_is_understood(start_sidecar: StartSidecar) -> None:
    async def behaviour(socket: ServerConnection) -> None:
        await socket.wait_closed()

    async with provider(behaviour) as url, start_sidecar(cartesia=url, deepgram=url) as sidecar:
        for path in ("/cartesia/tts/websocket", "/deepgram/v1/speak?model=aura-2-thalia-en", "/deepgram/v1/listen"):
            async with connect(address(sidecar, path)):
                pass
        await asyncio.sleep(0.1)
        assert await sidecar.rows() == []


async def test_a_close_amid_traffic_keeps_its_code(start_sidecar: StartSidecar) -> None:
    async def behaviour(socket: ServerConnection) -> None:
        for _ in range(5):
            await socket.recv()
        await socket.close(1011, "enough")

    async with provider(behaviour) as url, start_sidecar(openai=url) as sidecar:
        for _ in range(20):
            async with connect(address(sidecar)) as agent:
                with pytest.raises(websockets.ConnectionClosed) as caught:
                    while True:
                        await agent.send(b"x" * 1600)
                        await asyncio.sleep(0)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1011

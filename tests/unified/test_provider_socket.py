"""A provider's socket that ends in other ways than by a close."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from voicegw_sidecar.clock import SystemClock
from voicegw_sidecar.dialects.opaque import OpaqueSocket
from voicegw_sidecar.drivers.base import Message
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.observation import Unobserved
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.relay import Timeouts
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.unified import provider_socket
from voicegw_sidecar.unified.plan import Connection
from voicegw_sidecar.unified.provider_socket import ProviderSocket
from voicegw_sidecar.wire.frames import Kind, RequestHead


async def test_provider_that_pings_and_is_gone_is_gone() -> None:
    async def gone(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(timeout=0.1)
        await socket.prepare(request)
        for _ in range(3):
            await socket.ping()
        assert isinstance(request.transport, asyncio.Transport)
        request.transport.abort()
        return socket

    async with _connection(gone) as socket, asyncio.timeout(5.0):
        assert await socket.receive() is None
        assert (socket.is_open, socket.has_broken) == (False, True)


async def test_provider_that_reads_no_more_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_socket, "SEND_S", 0.2)
    done = asyncio.Event()

    async def deaf(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(timeout=0.1)
        await socket.prepare(request)
        assert request.transport is not None
        request.transport.pause_reading()  # type: ignore[attr-defined]
        await done.wait()
        return socket

    async with _connection(deaf) as socket:
        piece = (Message(Kind.BINARY, bytes(1024 * 1024)),)
        try:
            async with asyncio.timeout(20):
                while socket.is_open:
                    await socket.send(piece)
                assert await socket.receive() is None
            assert socket.has_broken
        finally:
            done.set()


@asynccontextmanager
async def _connection(
    handler: Callable[[web.Request], Awaitable[web.WebSocketResponse]],
) -> AsyncIterator[ProviderSocket]:
    app = web.Application()
    app.router.add_get("/", handler)
    dialler = Dialler()
    async with TestServer(app) as server:
        leg = Leg(Modality.STT, BY_ID["deepgram"], "nova-3")
        connection = Connection(
            leg, f"ws://127.0.0.1:{server.port}/", (), Unobserved(), OpaqueSocket(RequestHead("GET", "/")),
            Timeouts(1.0, 1.0, None),
        )  # fmt: skip
        socket = ProviderSocket(connection, dialler, SystemClock())
        await socket.dial(())
        yield socket
        await socket.close()
    await dialler.close()

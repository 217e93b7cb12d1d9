"""A provider's socket that takes no more of what it is sent."""

from __future__ import annotations

import asyncio

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


async def test_provider_that_reads_no_more_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_socket, "SEND_S", 0.2)
    done = asyncio.Event()

    async def deaf(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        assert request.transport is not None
        request.transport.pause_reading()  # type: ignore[attr-defined]
        await done.wait()
        return socket

    app = web.Application()
    app.router.add_get("/", deaf)
    dialler = Dialler()
    async with TestServer(app) as server:
        leg = Leg(Modality.STT, BY_ID["deepgram"], "nova-3")
        connection = Connection(
            leg, f"ws://127.0.0.1:{server.port}/", (), Unobserved(), OpaqueSocket(RequestHead("GET", "/")),
            Timeouts(1.0, 1.0, None),
        )  # fmt: skip
        socket = ProviderSocket(connection, dialler, SystemClock())
        await socket.dial(())
        piece = (Message(Kind.BINARY, bytes(1024 * 1024)),)
        try:
            async with asyncio.timeout(20):
                while socket.is_open:
                    await socket.send(piece)
                assert await socket.receive() is None
            assert socket.has_broken
        finally:
            done.set()
    await dialler.close()

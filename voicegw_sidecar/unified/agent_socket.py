"""The agent's side of a unified endpoint's socket: opened, read, written and closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import WSMsgType, web
from multidict import CIMultiDict

from voicegw_sidecar.relay.upstream import MESSAGE_LIMIT_BYTES
from voicegw_sidecar.unified.plan import Desk
from voicegw_sidecar.wire.frames import Kind

_KINDS = {WSMsgType.TEXT: Kind.TEXT, WSMsgType.BINARY: Kind.BINARY}
_REASON_LIMIT_BYTES = 123


class AgentSide:
    """One socket of an agent. A write waits for an agent that reads slowly, and for nobody else."""

    def __init__(self, request: web.Request, desk: Desk) -> None:
        self._request = request
        self._desk = desk
        self._socket: web.WebSocketResponse[bool] = web.WebSocketResponse(
            autoclose=False, autoping=True, compress=False, max_msg_size=MESSAGE_LIMIT_BYTES + 1, timeout=2.0,
            decode_text=False,
        )  # fmt: skip
        self._is_closed = False

    async def open(self) -> web.StreamResponse:
        """Accept the upgrade."""
        self._socket.headers.extend(CIMultiDict(self._desk.answer_headers(None)))
        await self._socket.prepare(self._request)
        return self._socket

    async def messages(self) -> AsyncIterator[tuple[Kind, bytes]]:
        """Yield messages until the agent closes or is gone."""
        while True:
            message = await self._socket.receive()
            kind = _KINDS.get(message.type)
            if kind is None:
                return
            yield kind, message.data

    async def send(self, message: bytes) -> None:
        """Send a text message; to an agent that is gone it is dropped."""
        if self._is_closed:
            return
        with contextlib.suppress(ConnectionError, aiohttp.ClientError):
            await self._socket.send_frame(message, WSMsgType.TEXT)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait a little for the agent's answer."""
        if self._is_closed:
            return
        self._is_closed = True
        words = reason.encode()[:_REASON_LIMIT_BYTES].decode(errors="ignore").encode()
        with contextlib.suppress(ConnectionError, aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(2.0):
                await self._socket.close(code=code, message=words)
        if self._request.transport is not None:
            self._request.transport.close()

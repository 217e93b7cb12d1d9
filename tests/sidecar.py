"""A running sidecar as tests use it, and raw upstream servers that say exactly the bytes they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from voicegw_sidecar.serve import Running
from voicegw_sidecar.store.queries.exchanges import Filter, exchanges
from voicegw_sidecar.store.records import ExchangeRow


class Sidecar:
    """Address, HTTP client and rows of a running sidecar."""

    def __init__(self, running: Running, http: aiohttp.ClientSession, config: Path) -> None:
        self.running = running
        self.http = http
        self.config = config
        self.url = running.addresses[0]
        self.port = int(self.url.rpartition(":")[2])

    async def rows(
        self, count: int | None = None, status: str | None = None, within_s: float = 5.0, at_least: int = 0
    ) -> list[ExchangeRow]:
        """Closed rows, oldest first; waits until there are ``count``, exactly, or ``at_least`` so many."""
        deadline = asyncio.get_running_loop().time() + within_s
        wanted = at_least if count is None else count
        while True:
            listing = await self.running.runtime.store.read(exchanges, Filter(limit=1000, status=status))
            rows = listing.rows[::-1]
            if len(rows) >= wanted:
                assert count is None or len(rows) == count, [row.status for row in rows]
                return rows
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"{len(rows)} rows after {within_s} s, expected {wanted}: {rows}")
            await asyncio.sleep(0.01)

    async def get_json(self, path: str, **headers: str) -> Any:
        """GET a control-plane path."""
        async with self.http.get(self.url + path, headers=headers) as response:
            return await response.json()


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(script: Script) -> AsyncIterator[str]:
    """A TCP server whose every connection runs ``script``; yields its base URL."""
    running: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            running.discard(task)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Read one request: its head, and its body by Content-Length or chunks (raw)."""
    head = await reader.readuntil(b"\r\n\r\n")
    lower = head.lower()
    if b"content-length:" in lower:
        length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
        return head, await reader.readexactly(length)
    if b"transfer-encoding: chunked" in lower:
        return head, await reader.readuntil(b"0\r\n\r\n")
    return head, b""


async def send_raw(url: str, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection to a base URL and send bytes."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    await writer.drain()
    return reader, writer


@asynccontextmanager
async def echoing_sockets() -> AsyncIterator[str]:
    """A provider whose every WebSocket sends back each text it gets; yields its base URL."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    app = web.Application()
    app.router.add_get("/{tail:.*}", echo)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")

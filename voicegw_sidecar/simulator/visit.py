"""One request being served: its entry in the ledger, the script in force, the failure it meets, and time.

What every endpoint needs and no provider knows. Breaking a connection on purpose happens here too.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections import Counter
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Literal

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar import tasks
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.simulator.ledger import Entry, Ledger
from voicegw_sidecar.simulator.script import Failure, Script
from voicegw_sidecar.terms import NS_PER_S

Mark = Literal[
    "request_complete_ns", "first_text_ns", "speech_end_ns", "first_output_ns", "final_ns", "ended_ns", "hung_up_ns"
]


class Visit(Struct):
    """One request with all that serving it takes. ``rotation`` counts what was already said, per endpoint."""

    request: web.BaseRequest
    entry: Entry
    script: Script
    failure: Failure | None
    ledger: Ledger
    rotation: Counter[str]
    random: random.Random
    clock: Clock
    on_accept: Callable[[web.WebSocketResponse], None]
    """Told of the WebSocket once it is accepted: whoever runs the server closes it at its end."""
    body: bytes = b""
    """The request body; empty for a WebSocket."""

    @property
    def request_id(self) -> str:
        """An id as providers give them: a UUID that follows from the entry's number."""
        return uuid_like(self.entry.number)

    def mark(self, name: Mark, entry: Entry | None = None) -> None:
        """Stamp a moment, unless it is already stamped."""
        entry = entry or self.entry
        if getattr(entry, name) is None:
            setattr(entry, name, self.clock.monotonic_ns())

    def work(self, key: str) -> Entry:
        """Open an entry for a unit of work on this connection."""
        entry = self.ledger.open(
            provider=self.entry.provider,
            endpoint=self.entry.endpoint,
            connection=self.entry.connection,
            started_ns=self.clock.monotonic_ns(),
            key=key,
        )
        entry.model = self.entry.model
        return entry

    def next_of(self, texts: tuple[str, ...]) -> str:
        """Return the next of the endpoint's scripted texts."""
        said = self.rotation[self.entry.endpoint]
        self.rotation[self.entry.endpoint] += 1
        return texts[said % len(texts)] if texts else ""

    def delay_s(self, latency_ms: float) -> float:
        """Return a scripted latency in seconds, with the script's jitter."""
        swing = self.random.uniform(-1, 1) * self.script.jitter if self.script.jitter else 0.0
        return max(0.0, latency_ms * (1 + swing)) / 1000

    async def wait(self, latency_ms: float) -> None:
        """Let a scripted latency pass."""
        await asyncio.sleep(self.delay_s(latency_ms))

    async def wait_since(self, start_ns: int, latency_ms: float) -> None:
        """Wait until a scripted latency has passed since ``start_ns``."""
        passed_s = (self.clock.monotonic_ns() - start_ns) / NS_PER_S
        await asyncio.sleep(max(0.0, self.delay_s(latency_ms) - passed_s))

    def reset(self) -> None:
        """Reset the TCP connection: the client gets RST, not an end."""
        transport = self.request.transport
        if transport is None:
            return
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def hang_up(self) -> None:
        """End the TCP connection in an orderly way, whatever the protocol above still owes."""
        if self.request.transport is not None:
            self.request.transport.close()


def uuid_like(number: int) -> str:
    """Return a UUID-shaped text for a number; the same number gives the same text."""
    mixed = f"{(number * 0x9E3779B97F4A7C15F39CC0605CEDC835 + 0x5EED) % 2**128:032x}"
    return f"{mixed[:8]}-{mixed[8:12]}-4{mixed[13:16]}-a{mixed[17:20]}-{mixed[20:]}"


async def forever() -> None:
    """Wait until cancelled: by the client's leaving or the simulator's end."""
    await asyncio.Event().wait()


class Crew:
    """The tasks of one connection: cancelled and awaited together when it ends."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Crew:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Start a task; a client that leaves ends it quietly."""
        task = tasks.spawn(_until_gone(work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # cancelled before its first step, it was never awaited
        return task


async def _until_gone(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except ConnectionError:
        return

"""What relaying a request and relaying a socket have in common: an observer that is told once how it ended."""

from __future__ import annotations

import errno
import socket
import struct
from abc import ABC, abstractmethod

from aiohttp import web
from multidict import CIMultiDict

from voicegw_sidecar.clock import Clock
from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.relay.plan import Plan, Refusal, Watch
from voicegw_sidecar.relay.tap import Tap
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.wire.frames import End

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
RELAYED = web.ResponseKey("relayed", frozenset[str])
"""Key under which an answer holds its provider's header names: the server library may add none."""


class RelayedExchange(ABC):
    """One request or socket on its way; `run` returns the answer that the server library is to finish."""

    def __init__(
        self, request: web.Request, plan: Plan, dialler: Dialler, clock: Clock, meter: Watch, arrived_ns: int
    ) -> None:  # fmt: skip
        self._meter = meter
        self._decided_ns = clock.monotonic_ns() - arrived_ns
        self._request = request
        self._plan = plan
        self._dialler = dialler
        self._clock = clock
        self._tap = Tap(plan.observer)
        self._end = End.CANCELLED  # until something else is known: the agent may leave at any await

    async def run(self) -> web.StreamResponse:
        """Relay; whatever happens, the observer is told once how it ended."""
        try:
            return await self._relay()
        finally:
            self._tap.closed(self._end, self._clock.monotonic_ns())

    @abstractmethod
    async def _relay(self) -> web.StreamResponse:
        """Dial, forward both ways, and return the answer."""

    async def _failed(self, error: SidecarError) -> web.StreamResponse:
        """The provider was not reached: an answer of our own, once its row is stored."""
        if self._plan.blame is not None:
            error = self._plan.blame(error)
        now_ns = self._clock.monotonic_ns()
        self._end = End.BROKEN
        self._tap.failed(error, now_ns)
        self._tap.closed(End.BROKEN, now_ns)
        await self._settle()
        return refusal_response(self._plan.refuse(error))

    def _abort(self, *, is_reset: bool) -> None:
        abort(self._request, is_reset=is_reset)

    async def _settle(self) -> None:
        """Wait for the rows of what has ended, before the last piece goes on."""
        if self._plan.is_recorded:
            await self._tap.settle()


def abort(request: web.Request, *, is_reset: bool) -> None:
    """Break the agent's connection as the provider's broke: with a reset, or an end that came too early."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if is_reset and connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


def refusal_response(refusal: Refusal) -> web.Response:
    """An answer of the sidecar's own."""
    return web.Response(status=refusal.status, headers=CIMultiDict(refusal.headers), body=refusal.body)


def is_reset(error: BaseException | None) -> bool:
    """Say whether a connection broke by a reset, however the library wraps it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ECONNRESET:
            return True
        error = error.__cause__ or error.__context__
    return False

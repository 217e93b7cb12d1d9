"""``GET /v1/models``: what can be named. LiveKit's agents ask at their start: the LLM's connection is made ready."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec
from aiohttp import web
from multidict import CIMultiDict

from voicegw_sidecar import tasks
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.drivers.base import ProviderRequest
from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.relay.plan import Headers
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.unified.plan import Connection
from voicegw_sidecar.unified.provider_request import RequestToProvider

_WARM_S = 5.0


class Models:
    """Serves one request; ``warms`` is a question to the provider whose answer nobody reads."""

    def __init__(self, names: list[str], headers: Headers, warms: tuple[Connection, ProviderRequest] | None) -> None:
        self._names = names
        self._headers = headers
        self._warms = warms

    async def run(self, request: web.Request, dialler: Dialler, clock: Clock) -> web.StreamResponse:
        """Answer at once; the connection is made ready meanwhile."""
        if self._warms is not None:
            _ = tasks.spawn(_warm(RequestToProvider(*self._warms, dialler, clock)), name="warm provider connection")
        listed = [
            {"id": name, "object": "model", "created": 0, "owned_by": name.partition("/")[0]} for name in self._names
        ]
        body = msgspec.json.encode({"object": "list", "data": listed})
        headers = (("Content-Type", "application/json"), *self._headers)
        return web.Response(headers=CIMultiDict(headers), body=body)


async def _warm(asking: RequestToProvider) -> None:
    """Ask and read to the end, so that the connection goes back to the pool."""
    try:
        with contextlib.suppress(SidecarError, TimeoutError):
            async with asyncio.timeout(_WARM_S):
                await asking.send()
                async for _ in asking.pieces():
                    pass
    finally:
        asking.close()

"""A recording transcribed by one provider: one request, or several where the work takes its time."""

from __future__ import annotations

import asyncio

from voicegw_sidecar.clock import Clock
from voicegw_sidecar.drivers.base import ProviderRequest, RecordingDriver, Transcript
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.errors import UpstreamSilent, UpstreamTimeout
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.terms import NS_PER_S
from voicegw_sidecar.unified.plan import Connection, Desk
from voicegw_sidecar.unified.provider_request import RequestToProvider, off_loop

ANSWER_LIMIT_BYTES = 32 * 1024 * 1024
_ASK_AGAIN_S = 0.5
_ASK_FOR_S = 600.0
"""How long work that takes its time is asked about; then it is given up."""


class Transcription:
    """One recording on its way; ``connection`` is that of its last request, ``audio_bytes`` its length if long."""

    def __init__(
        self, leg: Leg, driver: RecordingDriver, desk: Desk, dialler: Dialler, clock: Clock, audio_bytes: int = 0
    ) -> None:
        self._leg = leg
        self._driver = driver
        self._desk = desk
        self._dialler = dialler
        self._clock = clock
        self._audio_bytes = audio_bytes
        self.connection: Connection | None = None
        self._abandoned: str | None = None

    def abandon(self, code: str) -> None:
        """Say why it is about to be given up."""
        self._abandoned = code

    async def run(self) -> Transcript:
        """Ask until there is a transcript; raises `SidecarError`."""
        request = await off_loop(self._audio_bytes, self._driver.request)
        give_up_ns = self._clock.monotonic_ns() + round(_ASK_FOR_S * NS_PER_S)
        while True:
            answer = await self._ask(request)
            found = await off_loop(len(answer), self._driver.answered, answer)
            if isinstance(found, Transcript):
                return found
            if found is None:
                raise UpstreamSilent(f"{self._leg.provider.id} answered with something else than a transcript")
            if found == request:
                if self._clock.monotonic_ns() > give_up_ns:
                    raise UpstreamTimeout(f"{self._leg.provider.id} had no transcript after {_ASK_FOR_S:.0f} s")
                await asyncio.sleep(_ASK_AGAIN_S)
            request = found

    async def _ask(self, asked: ProviderRequest) -> bytes:
        """Return the body of an answer of status 2xx; raises `SidecarError`."""
        connection = self._desk.request(self._leg, asked)
        if self.connection is None or connection.exchange_id is not None:
            self.connection = connection
        request = RequestToProvider(connection, asked, self._dialler, self._clock)
        try:
            await request.send()
            if request.is_refusal:
                _, error = await request.refusal()
                raise error
            body = bytearray()
            async for frame in request.pieces():
                body += frame.data
                if len(body) > ANSWER_LIMIT_BYTES:
                    raise UpstreamSilent(f"{self._leg.provider.id} answered with more than 32 MiB")
            await request.complete()
            return bytes(body)
        except asyncio.CancelledError:
            if self._abandoned is not None:
                request.abandon(self._abandoned)
            raise
        finally:
            request.close()

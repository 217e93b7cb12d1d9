"""How a provider's socket ends once there is no more audio, and what its caller is told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from voicegw_sidecar.asks import ListenAsk
from voicegw_sidecar.clock import SystemClock
from voicegw_sidecar.drivers.deepgram_listen import DeepgramListenDriver
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.errors import SidecarError, UpstreamTimeout
from voicegw_sidecar.events import Event, Final
from voicegw_sidecar.observation import Unobserved
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.relay import Timeouts
from voicegw_sidecar.relay.upstream import Dialler
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.unified.hearers import SocketHearer
from voicegw_sidecar.unified.plan import Connection
from voicegw_sidecar.unified.provider_socket import ClosedEarly, ProviderSocket
from voicegw_sidecar.wire.frames import RequestHead

FINAL = (
    '{"type":"Results","channel_index":[0,1],"duration":1.0,"start":0.0,"is_final":true,"speech_final":true,'
    '"channel":{"alternatives":[{"transcript":"Hello.","confidence":0.9,"words":[]}]}}'
)


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.finals: list[str] = []
        self.errors: list[SidecarError] = []

    async def heard(self, events: Iterable[Event]) -> None:
        """Keep the final transcripts."""
        self.finals += [event.text for event in events if isinstance(event, Final)]

    async def failed(self, error: SidecarError) -> None:
        """Keep the error."""
        self.errors.append(error)


@asynccontextmanager
async def hearer(answers: tuple[str, ...], close_code: int | None) -> AsyncIterator[tuple[SocketHearer, Listener]]:
    """A Deepgram that answers so to the end of the stream, then closes with a code, or not at all."""

    async def listens(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT and "CloseStream" in message.data:
                for answer in answers:
                    await socket.send_str(answer)
                if close_code is not None:
                    await socket.close(code=close_code)
        return socket

    app = web.Application()
    app.router.add_get("/v1/listen", listens)
    dialler, listener = Dialler(), Listener()
    async with TestServer(app) as server:
        provider = BY_ID["deepgram"]
        endpoint = provider.endpoint("GET", "/v1/listen", is_socket=True)
        assert endpoint is not None
        leg, driver = Leg(Modality.STT, provider, "nova-3"), DeepgramListenDriver(ListenAsk("nova-3", 16_000))
        head = RequestHead("GET", "/v1/listen", driver.address.query)
        url = f"ws://127.0.0.1:{server.port}/v1/listen"
        connection = Connection(leg, url, (), Unobserved(), endpoint.dialect(head), Timeouts(1.0, 1.0, None))
        made = SocketHearer(ProviderSocket(connection, dialler, SystemClock()), driver, 16_000, listener, SystemClock())
        await made.open()
        await made.audio(bytes(3200))
        yield made, listener
    await dialler.close()


async def test_last_words_and_an_orderly_close() -> None:
    async with hearer((FINAL,), 1000) as (heard_by, listener):
        await heard_by.finish()
    assert (listener.finals, listener.errors) == (["Hello."], [])


@pytest.mark.parametrize("is_unheard", [True, False])
async def test_break_before_the_last_words_is_raised_where_words_are_missing(is_unheard: bool) -> None:
    async with hearer((), 1011) as (heard_by, listener):
        if is_unheard:
            with pytest.raises(ClosedEarly):
                await heard_by.finish()
        else:
            await heard_by.finish(is_unheard=False)
    assert (listener.finals, listener.errors) == ([], [])


async def test_last_words_that_do_not_come_in_time_are_raised() -> None:
    async with hearer((), None) as (heard_by, listener):
        with pytest.raises(UpstreamTimeout, match="no last transcript"):
            await heard_by.finish(within_s=0.1)
    assert listener.errors == []

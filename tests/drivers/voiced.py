"""Speak drivers and requests for speech, played against the simulated provider as a bridge plays them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from aiohttp import WSMsgType

from tests.simulator.conftest import quick
from voicegw_sidecar.clock import SystemClock
from voicegw_sidecar.dialects.base import Dialect
from voicegw_sidecar.drivers.base import Message, Messages, SpeakDriver, SpeechRequest
from voicegw_sidecar.events import AudioOut, Event, Finished, Stopped
from voicegw_sidecar.meter import Closed, Meter
from voicegw_sidecar.providers import BY_ID, OPENAI_ERRORS, AuthStyle, Provider
from voicegw_sidecar.providers.openai import openai_endpoints
from voicegw_sidecar.simulator import Simulator
from voicegw_sidecar.terms import Exchange, Status
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side

S_PER_CHAR = 0.02
"""How long a character lasts in `quick`'s script."""


class Voice:
    """One socket of a provider, driven."""

    def __init__(self, provider: str, driver: SpeakDriver, socket: aiohttp.ClientWebSocketResponse) -> None:
        address = driver.address
        endpoint = BY_ID[provider].endpoint("GET", address.path, is_socket=True)
        assert endpoint is not None
        self.driver = driver
        self.events: list[Event] = []
        self.sent: list[Message] = []
        self._dialect: Dialect = endpoint.dialect(RequestHead("GET", address.path, address.query))
        self._socket = socket
        self._meter = Meter()
        self._clock = SystemClock()

    async def send(self, messages: Messages) -> None:
        for message in messages:
            self.sent.append(message)
            self._decode(Side.AGENT, message.kind, message.data)
            assert message.kind is Kind.TEXT
            await self._socket.send_str(message.data.decode())

    async def receive(self) -> bool:
        """Take one message; False once the provider closed."""
        message = await self._socket.receive()
        if message.type is WSMsgType.BINARY:
            self._decode(Side.PROVIDER, Kind.BINARY, message.data)
        elif message.type is WSMsgType.TEXT:
            self._decode(Side.PROVIDER, Kind.TEXT, message.data.encode())
        else:
            for event in self._dialect.ended(Side.PROVIDER, End.COMPLETE):
                self._meter.apply(event, self._clock.monotonic_ns())
            return False
        return True

    async def say(self, *texts: str) -> bytes:
        """Have an utterance spoken to its end; its samples."""
        begins = len(self.events)
        for text in texts:
            await self.send(self.driver.speak(text))
        await self.send(self.driver.flush())
        while sum(isinstance(event, Finished) for event in self.events[begins:]) < self.driver.ends:
            assert await self.receive()
        return self.samples(begins)

    def samples(self, begins: int = 0) -> bytes:
        return b"".join([_decoded(event) for event in self.events[begins:] if isinstance(event, AudioOut)])

    def messages(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(message.data) for message in self.sent]

    @property
    def stopped(self) -> int:
        return sum(isinstance(event, Stopped) for event in self.events)

    def exchanges(self) -> list[Exchange]:
        self._meter.close(Status.OK, self._clock.monotonic_ns())
        return [change.exchange for change in self._meter.changes() if isinstance(change, Closed)]

    def _decode(self, side: Side, kind: Kind, data: bytes) -> None:
        at_ns = self._clock.monotonic_ns()
        for event in self._dialect.decode(Frame(side, kind, at_ns, data)):
            self.events.append(event)
            self._meter.apply(event, at_ns)


@asynccontextmanager
async def voice(simulator: Simulator, provider: str, driver: SpeakDriver) -> AsyncIterator[Voice]:
    """Dial what the driver says; everything below ends within five seconds."""
    address = driver.address
    async with (
        asyncio.timeout(5),
        aiohttp.ClientSession(headers=dict(address.headers)) as http,
        http.ws_connect(f"{simulator.base_url(provider)}{address.path}", params=list(address.query)) as socket,
    ):
        running = Voice(provider, driver, socket)
        await running.send(driver.opening())
        yield running


@asynccontextmanager
async def simulated() -> AsyncIterator[Simulator]:
    """A simulator whose voices are quick."""
    async with Simulator(quick()) as running:
        yield running


class Answer(msgspec.Struct):
    """What came of a request for speech."""

    body: bytes
    content_type: str
    events: list[Event]

    @property
    def audio_s(self) -> float | None:
        seconds = [event.audio_s for event in self.events if isinstance(event, AudioOut)]
        return None if None in seconds else sum(second or 0.0 for second in seconds)


async def asked(simulator: Simulator, provider: str, wanted: SpeechRequest) -> Answer:
    """Send a request for speech, and decode its answer by the provider's own dialect."""
    request = wanted.request
    known = BY_ID.get(provider) or Provider(provider, "", AuthStyle.BEARER, OPENAI_ERRORS, openai_endpoints())
    endpoint = known.endpoint(request.method, request.path, is_socket=False)
    assert endpoint is not None
    dialect = endpoint.dialect(RequestHead(request.method, request.path, request.query))
    events: list[Event] = []

    def decode(side: Side, data: bytes) -> None:
        events.extend(dialect.decode(Frame(side, Kind.BODY, 0, data)))

    decode(Side.AGENT, request.body)
    events.extend(dialect.ended(Side.AGENT, End.COMPLETE))
    async with (
        asyncio.timeout(5),
        aiohttp.ClientSession(headers=dict(request.headers)) as http,
        http.request(
            request.method, f"{simulator.base_url(provider)}{request.path}", params=request.query, data=request.body
        ) as answer,
    ):
        assert answer.status == 200, await answer.text()
        content_type, body = answer.headers["Content-Type"], b""
        events.extend(dialect.answered(ResponseHead(200, content_type)))
        async for piece in answer.content.iter_any():
            body += piece
            decode(Side.PROVIDER, piece)
    events.extend(dialect.ended(Side.PROVIDER, End.COMPLETE))
    return Answer(body, content_type, events)


def body_of(wanted: SpeechRequest) -> dict[str, Any]:
    """The JSON of a request."""
    body: dict[str, Any] = msgspec.json.decode(wanted.request.body)
    return body


def _decoded(event: AudioOut) -> bytes:
    return base64.b64decode(event.audio) if isinstance(event.audio, str) else event.audio

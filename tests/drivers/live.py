"""A listen driver, or a recording driver, played against the simulated provider, as a bridge plays it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import aiohttp
from aiohttp import WSMsgType
from msgspec import Struct

from tests.simulator.conftest import eventually
from tests.simulator.sounds import frames
from voicegw_sidecar.clock import SystemClock
from voicegw_sidecar.dialects.base import Dialect
from voicegw_sidecar.drivers.base import ListenDriver, Message, Messages, ProviderRequest, RecordingDriver, Transcript
from voicegw_sidecar.events import AudioIn, Event, Final, Interim
from voicegw_sidecar.meter import Closed, Meter
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.simulator import Simulator
from voicegw_sidecar.simulator.speech import silence, sound
from voicegw_sidecar.terms import Exchange, Status
from voicegw_sidecar.wire.frames import Frame, Kind, RequestHead, Side
from voicegw_sidecar.wire.pcm import PcmFormat


class Heard(Struct):
    """What came of a stream: the events the provider's dialect decoded, and what the driver sent."""

    events: list[Event]
    sent: list[Message]
    exchanges: list[Exchange]
    is_over: bool

    @property
    def finals(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Final)]

    @property
    def interims(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, Interim)]

    @property
    def audio_s(self) -> float:
        return sum(
            event.pcm.seconds(len(event.data)) for event in self.events if isinstance(event, AudioIn) and event.pcm
        )


def speech(rate_hz: int, length_s: float = 0.6, before_s: float = 0.2, after_s: float = 0.0) -> bytes:
    """Something loud after a silence, and before another one."""
    pcm = PcmFormat("pcm_s16le", rate_hz)
    return silence(pcm, before_s) + sound(pcm, 0.0, length_s) + silence(pcm, after_s)


class _Stream:
    def __init__(self, provider: str, driver: ListenDriver, socket: aiohttp.ClientWebSocketResponse) -> None:
        address = driver.address
        head = RequestHead("GET", address.path, address.query)
        endpoint = BY_ID[provider].endpoint("GET", address.path, is_socket=True)
        assert endpoint is not None
        self._dialect: Dialect = endpoint.dialect(head)
        self._driver = driver
        self._socket = socket
        self._clock = SystemClock()
        self.meter = Meter()
        self.heard = Heard([], [], [], is_over=False)

    async def send(self, messages: Messages) -> None:
        for message in messages:
            self.heard.sent.append(message)
            self._decode(Side.AGENT, message.kind, message.data)
            if message.kind is Kind.TEXT:
                await self._socket.send_str(message.data.decode())
            else:
                await self._socket.send_bytes(message.data)

    async def receive(self) -> None:
        """Until the provider closes, or the driver knows that nothing more will come."""
        async for message in self._socket:
            assert message.type is WSMsgType.TEXT
            data = message.data.encode()
            self._decode(Side.PROVIDER, Kind.TEXT, data)
            if self._driver.is_over(data):
                self.heard.is_over = True
                return

    def close(self) -> None:
        self.meter.close(Status.OK, self._clock.monotonic_ns())
        self.heard.exchanges = [change.exchange for change in self.meter.changes() if isinstance(change, Closed)]

    def _decode(self, side: Side, kind: Kind, data: bytes) -> None:
        at_ns = self._clock.monotonic_ns()
        for event in self._dialect.decode(Frame(side, kind, at_ns, data)):
            self.heard.events.append(event)
            self.meter.apply(event, at_ns)


async def listen(simulator: Simulator, provider: str, driver: ListenDriver, parts: Iterable[bytes | str]) -> Heard:
    """Let the driver say all of ``parts``: audio at its rate, ``wait`` or ``finalize``; then finish.

    Both words wait for one more final transcript than was waited for before; the end of the stream is waited for.
    """
    waited = 0
    address = driver.address
    url = f"{simulator.base_url(provider)}{address.path}"
    async with (
        aiohttp.ClientSession(headers=dict(address.headers)) as http,
        http.ws_connect(url, params=list(address.query)) as socket,
    ):
        stream = _Stream(provider, driver, socket)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            group.create_task(stream.receive())
            await stream.send(driver.opening())
            for part in parts:
                if isinstance(part, str):
                    waited += 1
                    await stream.send(driver.finalize() if part == "finalize" else ())
                    await eventually(lambda count=waited: len(stream.heard.finals) >= count)
                else:
                    for frame in frames(part):
                        await stream.send(driver.audio(frame))
            await stream.send(driver.keepalive())
            await stream.send(driver.finish())
        stream.close()
        return stream.heard


async def transcribe(
    simulator: Simulator, provider: str, driver: RecordingDriver
) -> tuple[Transcript | None, list[ProviderRequest]]:
    """Send the driver's requests, one after the other, asking again where it asks again; and what was sent."""
    sent: list[ProviderRequest] = []
    found: Transcript | ProviderRequest | None = driver.request()
    async with asyncio.timeout(5), aiohttp.ClientSession() as http:
        while isinstance(found, ProviderRequest):
            sent.append(found)
            url = f"{simulator.base_url(provider)}{found.path}"
            headers = dict(found.headers)
            async with http.request(found.method, url, params=found.query, headers=headers, data=found.body) as answer:
                assert answer.status == 200
                found = driver.answered(await answer.read())
            if found == sent[-1]:
                await asyncio.sleep(0.005)
    return found, sent

"""One WebSocket: the provider dialled first, then two pumps, frame by frame, closes and pings included.

Each pump waits for the side it writes to, so a reader that stops stalls its own socket and nobody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import struct
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web
from multidict import CIMultiDict

from voicegw_sidecar import tasks
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.relay.exchange import RELAYED, RelayedExchange, is_reset, refusal_response
from voicegw_sidecar.relay.headers import to_answer, to_send
from voicegw_sidecar.relay.plan import Part, Plan, Refusal, Stop, Watch
from voicegw_sidecar.relay.upstream import MESSAGE_LIMIT_BYTES, Dialler, RefusedHandshake, headers_of
from voicegw_sidecar.wire.frames import End, Frame, Kind, ResponseHead, Side

logger = logging.getLogger(__name__)

CLOSE_WAIT_S = 10.0
"""How long one side may take to answer the other's close before its connection is cut."""
_TIMED_FRAMES = 32
"""Of so many frames in one direction one is timed, the first included: to time each would cost a part of a frame."""
_LAST_WORDS_S = 0.5
_GOODBYE_S = 2.0
_CLOSE_REASON_LIMIT_BYTES = 123
_TOO_BIG, _TOO_BIG_REASON = 1009, "message over 16 MiB"
_NEVER_SENT = frozenset({1005, 1006, 1015})  # RFC 6455 §7.4.1: they stand for what was not on the wire
_KINDS = {WSMsgType.TEXT: Kind.TEXT, WSMsgType.BINARY: Kind.BINARY}

AgentSocket = web.WebSocketResponse[bool]
ProviderSocket = aiohttp.ClientWebSocketResponse[bool]


class _Closed:
    """How one side's stream of frames ended; ``payload`` is its close frame's, None where it just broke.

    ``is_ours``: the gate ended it, not that side.
    """

    def __init__(self, payload: bytes | None, *, is_ours: bool = False) -> None:
        self.payload = payload
        self.is_ours = is_ours


class SocketExchange(RelayedExchange):
    """Relays one socket."""

    def __init__(
        self, request: web.Request, plan: Plan, dialler: Dialler, clock: Clock, meter: Watch, arrived_ns: int
    ) -> None:  # fmt: skip
        super().__init__(request, plan, dialler, clock, meter, arrived_ns)
        self._is_closing = False
        self._has_broken_gate = False

    async def _relay(self) -> web.StreamResponse:
        plan = self._plan
        self._meter.delayed(Part.REQUEST, self._decided_ns)
        try:
            provider, handshake = await self._dialler.websocket(
                plan.url, to_send(plan.headers), plan.subprotocols, plan.timeouts
            )
        except RefusedHandshake as refused:
            return await self._refused(refused)
        except SidecarError as error:
            return await self._failed(error)
        try:
            self._tap.answered(ResponseHead(101), self._clock.monotonic_ns())
            agent = AgentSocket(
                protocols=(provider.protocol,) if provider.protocol else (),
                autoclose=False,
                autoping=False,
                compress=False,
                max_msg_size=MESSAGE_LIMIT_BYTES + 1,
                timeout=2.0,
                decode_text=False,
            )
            agent.headers.extend(CIMultiDict((*to_answer(headers_of(handshake)), *plan.answer_headers)))
            agent[RELAYED] = frozenset(name.lower() for name, _ in headers_of(handshake))
            await agent.prepare(self._request)
            await self._pump(agent, provider)
            if self._request.transport is not None:
                # both closes are through; left open, the server library would add a close frame of its own
                self._request.transport.close()
            return agent
        finally:
            handshake.close()  # the provider is told at once, however this ended

    async def _refused(self, refused: RefusedHandshake) -> web.StreamResponse:
        """The provider's own answer, status, headers and body, in place of the upgrade."""
        now_ns = self._clock.monotonic_ns()
        head = {name.lower(): value for name, value in refused.headers}
        self._tap.answered(ResponseHead(refused.status, head.get("content-type", "")), now_ns)
        self._tap.frame(Frame(Side.PROVIDER, Kind.BODY, now_ns, refused.body))
        self._end = End.BROKEN
        self._tap.closed(End.BROKEN, now_ns)
        await self._settle()
        headers = tuple(pair for pair in to_answer(refused.headers) if pair[0].lower() != "content-length")
        answer = refusal_response(Refusal(refused.status, (*headers, *self._plan.answer_headers), refused.body))
        answer.set_status(refused.status, refused.reason)
        answer[RELAYED] = frozenset(head)
        return answer

    async def _pump(self, agent: AgentSocket, provider: ProviderSocket) -> None:
        up = tasks.spawn(self._forward(agent, provider, Side.AGENT), name="relay socket up")
        down = tasks.spawn(self._forward(provider, agent, Side.PROVIDER), name="relay socket down")
        try:
            await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
            if any(pump.done() and pump.result().is_ours for pump in (up, down)):
                await self._gate_closed(agent, provider, up)
            elif up.done():
                await self._agent_ended(agent, provider, up.result(), down)
            else:
                await self._provider_ended(agent, provider, down.result(), up)
        except asyncio.CancelledError:
            # the agent's connection is gone; what it had sent before, a close above all, still goes on
            await asyncio.wait((up,), timeout=_LAST_WORDS_S)
            if (
                not self._is_closing
                and up.done()
                and not up.cancelled()
                and (payload := up.result().payload) is not None
            ):
                await _say_close(provider, payload)
            raise
        finally:
            up.cancel()
            down.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _forward(self, source: Any, sink: Any, side: Side) -> _Closed:
        """Move frames from one side to the other until the source ends, or the gate ends both.

        Where the sink is gone its own pump says how; the source is still read, for its close.
        """
        read_clock_ns, tell, has_sink = self._clock.monotonic_ns, self._tap.frame, True
        gate, agent = self._plan.gate, source if side is Side.AGENT else sink
        until_timed = 1
        while True:
            message = await source.receive()
            at_ns = read_clock_ns()
            kind = _KINDS.get(message.type)
            if kind is not None or message.type in (WSMsgType.PING, WSMsgType.PONG):
                if not has_sink:
                    continue
                stop = None if kind is None else self._stop(Frame(side, kind, at_ns, message.data))
                try:
                    if stop is None or side is Side.PROVIDER:
                        await sink.send_frame(message.data, message.type)
                    for answer in stop.answers if stop is not None else ():
                        await agent.send_frame(answer, WSMsgType.TEXT)
                except (ConnectionError, aiohttp.ClientError):
                    has_sink = False
                else:
                    if kind is not None and (stop is None or side is Side.PROVIDER):
                        until_timed -= 1
                        if not until_timed:
                            until_timed = _TIMED_FRAMES
                            self._meter.delayed(Part.FRAME, read_clock_ns() - at_ns)
                        tell(Frame(side, kind, at_ns, message.data))
                    if gate is not None and gate.is_over():
                        return _Closed(None, is_ours=True)
            elif message.type is WSMsgType.CLOSE:
                return _Closed(_close_payload(message.data, message.extra))
            elif message.type is WSMsgType.ERROR and getattr(message.data, "code", None) == _TOO_BIG:
                return _Closed(_close_payload(_TOO_BIG, _TOO_BIG_REASON))
            else:
                return _Closed(None)

    async def _agent_ended(
        self, agent: AgentSocket, provider: ProviderSocket, closed: _Closed, down: asyncio.Task[_Closed]
    ) -> None:
        if closed.payload is None:  # gone without a close: cut the provider off at once
            return
        answer = await self._pass_close(provider, closed.payload, down)
        self._ended(Side.AGENT, End.COMPLETE)
        await self._settle()
        await _say_close(agent, closed.payload if answer is None or answer.payload is None else answer.payload)

    async def _provider_ended(
        self, agent: AgentSocket, provider: ProviderSocket, closed: _Closed, up: asyncio.Task[_Closed]
    ) -> None:
        if closed.payload is None:
            self._ended(Side.PROVIDER, End.BROKEN)
            await self._settle()
            self._abort(is_reset=is_reset(provider.exception()))  # no close frame came, so none is made up
            return
        await _say_close(provider, closed.payload)
        self._ended(Side.PROVIDER, End.COMPLETE if _is_orderly(closed.payload) else End.BROKEN)
        await self._settle()
        await self._pass_close(agent, closed.payload, up)

    def _stop(self, frame: Frame) -> Stop | None:
        """Ask the gate about a frame; one that fails lets everything on."""
        if self._plan.gate is None or self._has_broken_gate:
            return None
        try:
            return self._plan.gate.stops(frame)
        except Exception as error:
            self._has_broken_gate = True
            logger.error("a gate failed, the call goes on", extra={"error": type(error).__name__})
            return None

    async def _gate_closed(self, agent: AgentSocket, provider: ProviderSocket, up: asyncio.Task[_Closed]) -> None:
        """The gate refused what comes next: both sides are closed, the agent with the reason."""
        assert self._plan.gate is not None
        reason = self._plan.gate.close_reason.encode()[:_CLOSE_REASON_LIMIT_BYTES].decode(errors="ignore")
        self._ended(Side.PROVIDER, End.COMPLETE)
        await self._settle()
        await _say_close(agent, _close_payload(self._plan.gate.close_code, reason))
        await _say_close(provider, _close_payload(1000, b""))
        if not up.done():
            await asyncio.wait((up,), timeout=_GOODBYE_S)
            return
        with contextlib.suppress(TimeoutError):  # the pump is over, so the agent's answer is read here
            async with asyncio.timeout(_GOODBYE_S):
                while (await agent.receive()).type in (*_KINDS, WSMsgType.PING, WSMsgType.PONG):
                    pass

    async def _pass_close(self, sink: Any, payload: bytes, other: asyncio.Task[_Closed]) -> _Closed | None:
        """Send a close frame on and wait for the one that answers it; None if none came in time."""
        self._is_closing = True
        await _say_close(sink, payload)
        await asyncio.wait((other,), timeout=CLOSE_WAIT_S)
        return other.result() if other.done() else None

    def _ended(self, side: Side, end: End) -> None:
        now_ns = self._clock.monotonic_ns()
        self._end = end
        self._tap.ended(side, end, now_ns)
        self._tap.closed(end, now_ns)


async def _say_close(socket: Any, payload: bytes) -> None:
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):  # gone already: there is nobody left to tell
        await socket.send_frame(payload, WSMsgType.CLOSE)


def _close_payload(code: int | None, reason: Any) -> bytes:
    """A close frame's payload as it came; without a code, or with one that may not be sent, it has none."""
    if not code or code < 1000 or code in _NEVER_SENT:
        return b""
    text = reason if isinstance(reason, bytes) else str(reason or "").encode()
    return struct.pack("!H", code) + text


def _is_orderly(payload: bytes) -> bool:
    """1000, 1001 and a close without a code are ends; anything else is the provider breaking off."""
    return not payload or struct.unpack_from("!H", payload)[0] in (1000, 1001)

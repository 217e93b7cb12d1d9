"""The agents' side: every request that no page and no API route takes is decided about and relayed."""

from __future__ import annotations

import asyncio
from weakref import WeakSet

from aiohttp import web

from voicegw_sidecar.clock import Clock
from voicegw_sidecar.relay.exchange import RELAYED, refusal_response
from voicegw_sidecar.relay.http import HttpExchange
from voicegw_sidecar.relay.plan import Arrival, Decide, Plan, Refusal, Watch
from voicegw_sidecar.relay.upstream import HEAD_LIMIT_BYTES, READ_BUFFER_BYTES, Dialler, watch_for_dead_peer
from voicegw_sidecar.relay.websocket import SocketExchange

_ARRIVAL = web.RequestKey("arrival", Arrival)
SERVER_SETTINGS: dict[str, object] = {
    "access_log": None,  # a log line per request would cost more than the request, and hold query credentials
    "auto_decompress": False,  # request bodies pass as they are
    "handler_cancellation": True,  # an agent that hangs up must stop the provider at once; the default goes on
    "keepalive_timeout": 3630.0,  # over the 120 s of agents' pools, so that they close first
    "max_line_size": HEAD_LIMIT_BYTES,
    "max_field_size": HEAD_LIMIT_BYTES,
    "read_bufsize": READ_BUFFER_BYTES,
    "tcp_keepalive": True,
}
"""What the server must be started with for a relay to be transparent."""


class Relay:
    """Owns the provider connections; `handle` is the catch-all route."""

    def __init__(self, decide: Decide, clock: Clock, meter: Watch) -> None:
        self._decide = decide
        self._clock = clock
        self._meter = meter
        self._dialler = Dialler()
        self.running = 0
        """Requests and sockets being relayed."""
        self._watched: WeakSet[asyncio.Transport] = WeakSet()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def has_agents(self) -> bool:
        """True while a connection on which an agent has called is open."""
        return any(not transport.is_closing() for transport in self._watched)

    async def until_idle(self) -> None:
        """Wait until nothing is being relayed."""
        await self._idle.wait()

    async def close(self) -> None:
        """Close every provider connection."""
        await self._dialler.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Relay one request or socket."""
        arrived_ns = self._clock.monotonic_ns()
        decision = await self._decide(arrival_of(request))
        if isinstance(decision, Refusal):
            self._meter.refused(decision.code)
            return refusal_response(decision)
        self._meter.connected(is_socket=is_socket(request))
        self._watch(request)
        self.running += 1
        self._idle.clear()
        try:
            if not isinstance(decision, Plan):
                answer: web.StreamResponse = await decision.run(request, self._dialler, self._clock)
                return answer
            exchange = SocketExchange if is_socket(request) else HttpExchange
            return await exchange(request, decision, self._dialler, self._clock, self._meter, arrived_ns).run()
        finally:
            self.running -= 1
            if not self.running:
                self._idle.set()

    def _watch(self, request: web.Request) -> None:
        """Notice an agent that is gone without a word; once per connection."""
        transport = request.transport
        if transport is None or transport in self._watched:
            return
        self._watched.add(transport)
        if (connection := transport.get_extra_info("socket")) is not None:
            watch_for_dead_peer(connection)


def is_socket(request: web.BaseRequest) -> bool:
    """Say whether the request is a WebSocket upgrade."""
    return request.headers.get("Upgrade", "").lower() == "websocket"


def arrival_of(request: web.BaseRequest) -> Arrival:
    """The request as plain values, in the order and case it came in; read once, whoever asks first."""
    if _ARRIVAL in request:
        return request[_ARRIVAL]
    headers = tuple(
        (name.decode("latin-1"), value.decode("utf-8", "surrogateescape")) for name, value in request.raw_headers
    )
    transport = request.transport
    peer = transport.get_extra_info("peername") if transport is not None else None
    own = transport.get_extra_info("sockname") if transport is not None else None
    arrival = request[_ARRIVAL] = Arrival(
        method=request.method,
        target=request.rel_url.raw_path_qs,
        headers=headers,
        is_socket=is_socket(request),
        scheme=request.scheme,
        peer=str(peer[0]) if isinstance(peer, tuple) else "",
        peer_port=int(peer[1]) if isinstance(peer, tuple) else 0,
        own_port=int(own[1]) if isinstance(own, tuple) else 0,
        connection=transport if transport is not None else request,
    )
    return arrival


async def keep_relayed_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Remove what the server library adds: to an answer what the provider did not send, to ours its own name."""
    if RELAYED not in response:
        response.headers.popall("Server", None)
        return
    sent = response[RELAYED]
    for name in ("Date", "Server", "Content-Type"):
        if name.lower() not in sent:
            response.headers.popall(name, None)

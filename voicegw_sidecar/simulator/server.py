"""The simulator: one listener for all simulated providers, told apart by the first path segment.

Reads requests, keeps the ledger, chooses failures and hands over to the provider's endpoint. Under
``/_simulator`` a test in another process can read the ledger and order failures.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections import Counter
from types import TracebackType

import msgspec
from aiohttp import web
from aiohttp.web_protocol import RequestHandler
from msgspec import Struct

from voicegw_sidecar.clock import Clock, SystemClock
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.simulator.ledger import Entry, Ledger
from voicegw_sidecar.simulator.refusal import refuse, refuse_request
from voicegw_sidecar.simulator.routes import PROVIDERS, Handler, handler_of
from voicegw_sidecar.simulator.script import SOCKETS, Failure, FailureKind, Rule, Script, problem_of
from voicegw_sidecar.simulator.visit import Visit, forever

logger = logging.getLogger(__name__)

_BODY_LIMIT_BYTES = 64 * 1024 * 1024
_SHUTDOWN_S = 0.2
_GOODBYE_S = 0.3
_NO_CLOSE = 1006  # stands for a close frame that never came
_BREAKS_ITSELF = (FailureKind.RESET, FailureKind.TRUNCATE, FailureKind.CLOSE)


class FailOrder(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /_simulator/fail``: what `Simulator.fail_next` takes."""

    endpoint: str
    failure: Failure
    count: int = 1
    match: str = ""


class Simulator:
    """Every simulated provider on one local port.

    ``script`` may be replaced at any time; what already runs keeps the script it began with.
    """

    def __init__(
        self, script: Script | None = None, host: str = "127.0.0.1", port: int = 0, clock: Clock | None = None
    ) -> None:
        self.script = script or Script()
        self.ledger = Ledger()
        self.host = host
        self.port = port
        self._clock = clock or SystemClock()
        self._random = random.Random(self.script.seed)  # noqa: S311 - jitter, not a secret
        self._rotation: Counter[str] = Counter()
        self._asked: Counter[Rule] = Counter()
        self._orders: list[tuple[FailOrder, int]] = []
        self._connections: dict[RequestHandler, int] = {}
        self._accepted = 0
        self._closing = False
        self._sockets: set[web.WebSocketResponse] = set()
        self._runner: web.ServerRunner | None = None

    async def __aenter__(self) -> Simulator:
        # cancelling the handler is how it learns that the client left before anything is written to it
        server = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.host, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        if self._sockets:
            goodbyes = [asyncio.wait_for(socket.close(code=1001), _GOODBYE_S) for socket in self._sockets]
            await asyncio.gather(*goodbyes, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    def base_url(self, provider: str) -> str:
        """Return the address to which the provider's documented absolute paths are appended."""
        if provider not in PROVIDERS:
            raise BadRequest(f"provider: expected one of {', '.join(PROVIDERS)}, got {provider!r}")
        return f"http://{self.host}:{self.port}/{provider}"

    def fail_next(self, endpoint: str, failure: Failure, count: int = 1, match: str = "") -> None:
        """Let the next ``count`` requests of an endpoint fail; only those that hold the text ``match``."""
        if problem := problem_of(endpoint, failure):
            raise BadRequest(problem)
        self._orders.append((FailOrder(endpoint, failure, count, match), count))

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path.startswith("/_simulator/"):
            return await self._control(request)
        provider = request.path.split("/")[1]
        endpoint, handler = handler_of(request.method, request.path) or ("", _nowhere)
        entry = self._entry(request, provider, endpoint)
        visit = Visit(
            request=request,
            entry=entry,
            script=self.script,
            failure=None,
            ledger=self.ledger,
            rotation=self._rotation,
            random=self._random,
            clock=self._clock,
            on_accept=self._sockets.add,
        )
        try:
            await self._read(visit)
            visit.failure = self._failure(visit)
            entry.failure = str(visit.failure.kind) if visit.failure else None
            return await self._play(visit, handler)
        except ConnectionError:
            self._left(visit)
            await forever()  # the connection is gone or going: aiohttp cancels the handler then
            raise
        except asyncio.CancelledError:
            self._left(visit)
            raise

    def _entry(self, request: web.BaseRequest, provider: str, endpoint: str) -> Entry:
        entry = self.ledger.open(
            provider=provider,
            endpoint=endpoint,
            connection=self._connection(request),
            started_ns=self._clock.monotonic_ns(),
        )
        version = f"HTTP/{request.version.major}.{request.version.minor}"
        entry.request_line = f"{request.method} {request.raw_path} {version}"
        for name, value in request.headers.items():
            known = entry.headers.get(name.lower())
            entry.headers[name.lower()] = value if known is None else f"{known}, {value}"
        return entry

    def _connection(self, request: web.BaseRequest) -> int:
        """Number the TCP connections from 1; those that ended are forgotten."""
        protocol = request.protocol
        if protocol not in self._connections:
            self._connections = {
                known: number for known, number in self._connections.items() if known.transport is not None
            }
            self._accepted += 1
            self._connections[protocol] = self._accepted
        return self._connections[protocol]

    async def _read(self, visit: Visit) -> None:
        if visit.entry.endpoint in SOCKETS:
            return
        body = bytearray()
        async for piece in visit.request.content.iter_any():
            body += piece
            if len(body) > _BODY_LIMIT_BYTES:
                break
        visit.body = bytes(body)
        visit.mark("request_complete_ns")
        visit.entry.received_sha256 = hashlib.sha256(visit.body).hexdigest()

    async def _play(self, visit: Visit, handler: Handler) -> web.StreamResponse:
        failure = visit.failure
        if failure is not None and failure.kind == FailureKind.STATUS:
            return await refuse(visit, failure)
        if visit.script.keys and not _presents_key(visit.request, visit.script.keys):
            return await refuse_request(visit, 401)
        is_socket = visit.entry.endpoint in SOCKETS
        if failure is not None and failure.after == 0:
            await _break_at_once(visit, failure, is_socket=is_socket)
        if not is_socket:
            return await handler(visit)
        if visit.request.headers.get("Upgrade", "").lower() != "websocket":
            return await refuse_request(visit, 400, "A WebSocket upgrade is expected here.")
        return await self._play_socket(visit, handler)

    async def _play_socket(self, visit: Visit, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(visit)
        finally:
            visit.mark("ended_ns")
            self._sockets -= {socket for socket in self._sockets if socket.closed}
        if visit.entry.close_code == _NO_CLOSE:
            self._left(visit)
        return response

    def _left(self, visit: Visit) -> None:
        """The connection is gone: the client left early unless it closed, or the simulator ended or broke it."""
        entry = visit.entry
        broken = visit.failure is not None and visit.failure.kind in _BREAKS_ITSELF
        if entry.endpoint in SOCKETS:
            complete = entry.close_code not in (None, _NO_CLOSE)
        else:
            complete = entry.ended_ns is not None
        if not (self._closing or broken or complete):
            visit.mark("hung_up_ns")

    def _failure(self, visit: Visit) -> Failure | None:
        """Choose what this request meets: an order of `fail_next` first, then the script's rules."""
        endpoint = visit.entry.endpoint
        for index, (order, left) in enumerate(self._orders):
            if order.endpoint == endpoint and _holds(visit, order.match):
                self._orders[index : index + 1] = [(order, left - 1)] if left > 1 else []
                return order.failure
        for rule in visit.script.rules:
            if rule.endpoint == endpoint and _holds(visit, rule.match):
                self._asked[rule] += 1
                if self._asked[rule] % rule.every == 0:
                    return rule.failure
        return None

    async def _control(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a test in another process."""
        body = await request.read()
        try:
            match request.method, request.path:
                case "GET", "/_simulator/ledger":
                    return _json({"entries": self.ledger.entries()})
                case "DELETE", "/_simulator/ledger":
                    self.ledger.clear()
                case "POST", "/_simulator/fail":
                    order = msgspec.json.decode(body, type=FailOrder)
                    self.fail_next(order.endpoint, order.failure, order.count, order.match)
                case "PUT", "/_simulator/script":
                    self.script = msgspec.json.decode(body, type=Script)
                case _:
                    return _json({"error": "expected ledger, fail or script"}, status=404)
        except (BadRequest, msgspec.MsgspecError) as error:
            return _json({"error": str(error)}, status=400)
        return web.Response(status=204)


def _json(payload: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(payload), status=status, content_type="application/json")


def _holds(visit: Visit, text: str) -> bool:
    if not text:
        return True
    entry = visit.entry
    return text in entry.request_line or text.encode() in visit.body or any(text in v for v in entry.headers.values())


def _presents_key(request: web.BaseRequest, keys: tuple[str, ...]) -> bool:
    presented = {
        request.headers.get("Authorization", "").rpartition(" ")[2],
        request.headers.get("X-API-Key", ""),
        request.headers.get("xi-api-key", ""),
        request.query.get("api_key", ""),
    }
    return not presented.isdisjoint(keys)


async def _break_at_once(visit: Visit, failure: Failure, *, is_socket: bool) -> None:
    """Break before the first byte of the answer; what happens after it is up to the answer or the socket."""
    match failure.kind:
        case FailureKind.HANG:
            await forever()
        case FailureKind.RESET:
            visit.reset()
            await forever()
        case FailureKind.TRUNCATE if is_socket:
            visit.hang_up()
            await forever()
        case _:
            return


async def _nowhere(visit: Visit) -> web.StreamResponse:
    return await refuse_request(visit, 404, "Nothing is at this address.")

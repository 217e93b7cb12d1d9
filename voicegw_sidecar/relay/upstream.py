"""Connections to providers: dialled, pooled, and tried once more where a pooled one turned out dead.

Every default of the client library that would make a relay visible is switched off here, each with its
reason. Nothing outside ``relay/`` may know which library this is.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import socket
import ssl
from collections.abc import AsyncIterable
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import certifi
from multidict import CIMultiDict
from yarl import URL

from voicegw_sidecar.errors import SidecarError, UpstreamSilent, UpstreamTimeout, UpstreamUnreachable
from voicegw_sidecar.relay.plan import Headers, Timeouts

MESSAGE_LIMIT_BYTES = 16 * 1024 * 1024
"""Longest WebSocket message; a longer one closes both sides with 1009."""
HEAD_LIMIT_BYTES = 64 * 1024
"""Longest request line or header field: keyterm queries and signed tokens pass the usual 8 KiB."""
READ_BUFFER_BYTES = 64 * 1024
"""Read ahead per connection; twice this and the sender is made to wait."""
KEEPALIVE_S = 110.0
"""Idle pooled connections: below the 120 s that agents keep theirs, so that ours goes first."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REFUSAL_LIMIT_BYTES = 1024 * 1024
_ONE_PIECE_BYTES = 256 * 1024

Body = bytes | AsyncIterable[bytes] | None


class _Attempt:
    """What one request learned about its connection while it was sent."""

    def __init__(self, deadline: asyncio.Timeout, first_byte_s: float | None) -> None:
        self.is_reused = False
        self._deadline = deadline
        self._first_byte_s = first_byte_s
        self.response: aiohttp.ClientResponse | None = None
        self.refused_body = b""

    def sent(self) -> None:
        """The request is on its way: from here on the first byte is waited for."""
        if self._first_byte_s is not None:
            start_waiting(self._deadline, self._first_byte_s)


def start_waiting(deadline: asyncio.Timeout, wait_s: float) -> None:
    """Let a deadline run from now on; one that is over, because the answer came early, stays so."""
    with contextlib.suppress(RuntimeError):
        deadline.reschedule(asyncio.get_running_loop().time() + wait_s)


_attempt: ContextVar[_Attempt] = ContextVar("attempt")


class _Unanswered(Exception):
    """The connection died with no response byte: the client library must not see it, or it retries itself."""

    def __init__(self, can_be_sent_again: bool) -> None:
        super().__init__()
        self.can_be_sent_again = can_be_sent_again


class _Redirected(Exception):
    """The provider answered an upgrade with a redirect, which is the agent's to follow."""


class RefusedHandshake(Exception):
    """The provider answered an upgrade with something else; the answer is the agent's."""

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes) -> None:
        super().__init__()
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = body


class Dialler:
    """The pool of provider connections of one sidecar; open it inside the running loop."""

    def __init__(self) -> None:
        tls = tls_context()
        self._pooled = _open_session(tls, is_pooled=True)
        self._fresh = _open_session(tls, is_pooled=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._pooled.close()
        await self._fresh.close()

    async def request(self, method: str, url: str, headers: Headers, body: Body, timeouts: Timeouts,
                      deadline: asyncio.Timeout) -> aiohttp.ClientResponse:  # fmt: skip
        """Send a request and return its answer, body unread.

        A body in bytes may be sent a second time, on a fresh connection, if the pooled one it went out on
        died before any response byte; a streamed body is sent on a connection of its own for that reason.
        """
        can_resend = body is None or isinstance(body, bytes)
        session = self._pooled if can_resend else self._fresh

        async def send(session: aiohttp.ClientSession) -> aiohttp.ClientResponse:
            # a streamed body starts the wait itself, once it is through
            _attempt.set(_Attempt(deadline, timeouts.first_byte_s if can_resend else None))
            return await session.request(
                method,
                URL(url, encoded=True),
                headers=CIMultiDict(headers),
                # a long body in one piece would hold up the loop: in a file the library sends it piece by piece
                data=io.BytesIO(body) if isinstance(body, bytes) and len(body) > _ONE_PIECE_BYTES else body,
                allow_redirects=False,  # a redirect is the agent's to follow; its key stays with this host
                timeout=_timeout(timeouts),
            )

        try:
            async with deadline:
                try:
                    return await send(session)
                except _Unanswered as error:
                    if not (error.can_be_sent_again and can_resend):
                        raise
                    return await send(self._fresh)
        except TimeoutError as error:
            raise _timed_out(url, error) from None
        except (aiohttp.ClientError, OSError, _Unanswered, ssl.SSLError) as error:
            raise _unreachable(url, error) from None

    async def websocket(
        self, url: str, headers: Headers, subprotocols: tuple[str, ...], timeouts: Timeouts
    ) -> tuple[aiohttp.ClientWebSocketResponse[bool], aiohttp.ClientResponse]:
        """Dial a WebSocket; returns it with its handshake. Raises `RefusedHandshake` with the real answer."""
        deadline = asyncio.timeout(timeouts.connect_s)
        attempt = _Attempt(deadline, timeouts.first_byte_s)
        _attempt.set(attempt)
        try:
            async with deadline:
                # a socket lives as long as a call: a pooled connection would save nothing and might be stale
                upstream = await self._fresh.ws_connect(
                    URL(url, encoded=True),
                    headers=CIMultiDict(headers),
                    protocols=subprotocols,
                    autoclose=False,  # close codes are the agent's and the provider's to choose
                    autoping=False,  # pings are end to end: each side watches the other, not us
                    compress=0,  # no permessage-deflate: frames pass as they are
                    max_msg_size=MESSAGE_LIMIT_BYTES + 1,  # the library refuses what reaches its limit
                    decode_text=False,  # text goes on as the bytes it came in
                    timeout=aiohttp.ClientWSTimeout(ws_receive=None, ws_close=2.0),
                )
        except (aiohttp.WSServerHandshakeError, _Redirected) as error:
            if attempt.response is None or getattr(error, "status", None) == 101:
                raise UpstreamUnreachable(f"{_origin(url)} answered the upgrade with a broken handshake") from None
            response = attempt.response
            raise RefusedHandshake(
                response.status, response.reason or "", tuple(headers_of(response)), attempt.refused_body
            ) from None
        except TimeoutError as error:
            raise _timed_out(url, error) from None
        except (aiohttp.ClientError, OSError, _Unanswered, ssl.SSLError) as error:
            raise _unreachable(url, error) from None
        assert attempt.response is not None
        return upstream, attempt.response


def headers_of(response: aiohttp.ClientResponse) -> list[tuple[str, str]]:
    """The header lines of an answer in the order and case they came in."""
    return [(name.decode("latin-1"), value.decode("utf-8", "surrogateescape")) for name, value in response.raw_headers]


def _open_session(tls: ssl.SSLContext, *, is_pooled: bool) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(_note_reuse)
    trace.on_request_headers_sent.append(_note_sent)
    trace.on_request_end.append(_note_answer)
    pooling = {"keepalive_timeout": KEEPALIVE_S} if is_pooled else {"force_close": True}
    connector = aiohttp.TCPConnector(
        limit=0,  # the default of 100 connections would queue the 101st call in silence
        limit_per_host=0,
        ttl_dns_cache=30,
        ssl=tls,
        socket_factory=_socket,
        **pooling,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),  # a provider's cookie must not go out with another agent's call
        auto_decompress=False,  # bodies pass as they are; metering inflates a copy
        trust_env=False,  # a proxy variable of the environment must not see keys; loopback providers would break
        timeout=aiohttp.ClientTimeout(total=None),  # the default of five minutes would cut long calls
        read_bufsize=READ_BUFFER_BYTES,
        max_line_size=HEAD_LIMIT_BYTES,
        max_field_size=HEAD_LIMIT_BYTES,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),  # what the agent sent, only
        trace_configs=[trace],
        middlewares=(_no_hidden_retry,),
    )


async def _no_hidden_retry(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep disconnects from the library, which would send idempotent requests again on any connection.

    Sending again is right in one case only, POSTs included: a reused connection that died before any
    response byte. A disconnect after part of a response head carries that part instead of a text.
    """
    try:
        response = await handler(request)
        if response.status in _REDIRECTS and request.headers.get("Upgrade", "").lower() == "websocket":
            await _keep_refusal(_attempt.get(), response)
            raise _Redirected  # the library would follow it, keys and all
        return response
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
        has_begun = isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str)
        raise _Unanswered(_attempt.get().is_reused and not has_begun) from error


async def _note_reuse(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
    _attempt.get().is_reused = True


async def _note_sent(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
    _attempt.get().sent()


async def _note_answer(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
) -> None:
    """Keep the handshake, and the body of a refused one: the library would throw both away."""
    attempt, response = _attempt.get(), params.response
    attempt.response = response
    if response.request_info.headers.get("Upgrade", "").lower() == "websocket" and response.status != 101:
        await _keep_refusal(attempt, response)


async def _keep_refusal(attempt: _Attempt, response: aiohttp.ClientResponse) -> None:
    """Keep the answer to an upgrade that was refused, and what comes of its body."""
    attempt.response = response
    with contextlib.suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(5):
            while len(attempt.refused_body) < _REFUSAL_LIMIT_BYTES:
                piece = await response.content.readany()
                if not piece:
                    break
                attempt.refused_body += piece


def _socket(address: tuple[object, ...]) -> socket.socket:
    """Find half-open peers by TCP itself, never by frames of our own."""
    family, kind, protocol = address[0], address[1], address[2]
    connection = socket.socket(family, kind, protocol)  # type: ignore[arg-type]  # getaddrinfo's own values
    watch_for_dead_peer(connection)
    return connection


def watch_for_dead_peer(connection: socket.socket) -> None:
    """Switch on keepalive probes, where the system has them.

    Not TCP_USER_TIMEOUT: it also counts the time a live peer keeps its window shut, and agents leave sockets
    unread for minutes after an interruption.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 2)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def tls_context() -> ssl.SSLContext:
    """Verify providers against the system's certificates, or certifi's where the system has none."""
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"] and not _has_hashed_store():
        context.load_verify_locations(certifi.where())
    return context


def _has_hashed_store() -> bool:
    """A folder of certificates is read on demand and does not count in the statistics."""
    folder = os.environ.get("SSL_CERT_DIR") or ssl.get_default_verify_paths().capath
    return bool(folder) and Path(folder).is_dir() and any(Path(folder).iterdir())


def _timeout(timeouts: Timeouts) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=timeouts.connect_s, sock_connect=timeouts.connect_s)


def _origin(url: str) -> str:
    return str(URL(url, encoded=True).origin())


def _timed_out(url: str, error: TimeoutError) -> SidecarError:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return UpstreamUnreachable(f"{_origin(url)} could not be dialled in time; check the network and base_url")
    return UpstreamTimeout(f"{_origin(url)} sent no first byte in time")


def _unreachable(url: str, error: BaseException) -> SidecarError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        kind = "its certificate was not accepted"
    elif isinstance(error, aiohttp.ClientConnectorDNSError):
        kind = "its name could not be resolved"
    elif isinstance(error, aiohttp.ClientConnectorSSLError):
        kind = "TLS failed"
    elif isinstance(error, aiohttp.ClientConnectorError):
        kind = "the connection was refused or failed"
    else:
        return UpstreamSilent(f"{_origin(url)} closed the connection without an answer; call again")
    return UpstreamUnreachable(f"{_origin(url)} could not be reached: {kind}; check the network and base_url")

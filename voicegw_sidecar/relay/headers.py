"""Which headers go on and which stay: hop-by-hop ones never travel, either way."""

from __future__ import annotations

from collections.abc import Iterable

from voicegw_sidecar.relay.plan import Headers

HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "http2-settings",
})  # fmt: skip
# Set anew for the next hop: the address, the framing and the handshake.
_NOT_SENT = HOP_BY_HOP | {
    "host", "content-length", "expect", "sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions",
    "sec-websocket-protocol", "sec-websocket-accept",
}  # fmt: skip
# A provider's state for browsers must not land on the dashboard's origin, nor may its words pass as ours.
_NOT_ANSWERED = HOP_BY_HOP | {
    "set-cookie", "strict-transport-security", "sec-websocket-accept", "sec-websocket-extensions",
    "sec-websocket-protocol",
}  # fmt: skip


def to_send(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return the request headers that go upstream, in order and case as they came."""
    pairs = tuple(headers)
    named = _named_in_connection(pairs)
    return tuple(pair for pair in pairs if (name := pair[0].lower()) not in _NOT_SENT and name not in named)


def to_answer(headers: Iterable[tuple[str, str]]) -> Headers:
    """Return the response headers that go to the agent, in order and case as they came."""
    pairs = tuple(headers)
    named = _named_in_connection(pairs)
    return tuple(
        pair
        for pair in pairs
        if (name := pair[0].lower()) not in _NOT_ANSWERED
        and name not in named
        and not name.startswith(("access-control-", "x-voicegw-"))
    )


def _named_in_connection(pairs: Headers) -> frozenset[str]:
    values = [value for name, value in pairs if name.lower() == "connection"]
    return frozenset(token.strip().lower() for value in values for token in value.split(","))

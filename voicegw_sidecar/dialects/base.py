"""What a dialect is: one connection's frames in, neutral voice events out.

A dialect keeps the state of one connection, does no IO, reads no clock and never raises on what the wire
brings: a payload it does not understand means no event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

import msgspec

from voicegw_sidecar.events import Event
from voicegw_sidecar.wire.frames import End, Frame, RequestHead, ResponseHead, Side

T = TypeVar("T")
NO_EVENTS: tuple[Event, ...] = ()


class Dialect(Protocol):
    """Decodes one connection."""

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """Take the head of the provider's answer."""
        ...

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Take one frame of either side."""
        ...

    def ended(self, side: Side, end: End) -> Iterable[Event]:
        """Take the end of one side's body, or of the socket."""
        ...


DialectFactory = Callable[[RequestHead], Dialect]


class SocketDialect:
    """Base of WebSocket dialects: nothing to learn from heads and ends."""

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """A handshake tells nothing."""
        return NO_EVENTS

    def ended(self, side: Side, end: End) -> Iterable[Event]:
        """A close tells nothing: the meter knows what is still open."""
        return NO_EVENTS


def decode_json(decoder: msgspec.json.Decoder[T], payload: bytes | None) -> T | None:
    """Decode a payload, or return None where it is not what the dialect understands."""
    if not payload:
        return None
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None

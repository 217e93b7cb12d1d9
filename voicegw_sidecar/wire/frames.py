"""What passes through a connection, as the relay stamps it: heads, frames and ends.

A frame is one WebSocket message or one piece of an HTTP body. ``at_ns`` is the monotonic time at which it
was read, before it was forwarded, so that no forwarding delay hides in a mark.
"""

from __future__ import annotations

import enum

from msgspec import Struct


class Side(enum.Enum):
    """Who sent it."""

    AGENT = "agent"
    PROVIDER = "provider"


class Kind(enum.Enum):
    """What a frame is."""

    TEXT = "text"
    BINARY = "binary"
    BODY = "body"
    """A piece of an HTTP body, cut anywhere."""


class End(enum.Enum):
    """How one side's stream ended."""

    COMPLETE = "complete"
    """Properly: body complete, or a closing handshake."""
    BROKEN = "broken"
    """The provider's side broke: reset, truncation, no closing handshake."""
    CANCELLED = "cancelled"
    """The agent left."""


class Frame(Struct, frozen=True):
    """One message or body piece. ``data`` of a text message is its UTF-8 bytes."""

    side: Side
    kind: Kind
    at_ns: int
    data: bytes


class RequestHead(Struct, frozen=True):
    """The agent's request, without its credentials: ``path`` starts at the provider's root."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    content_type: str = ""

    def parameter(self, name: str) -> str | None:
        """Return the first value of a query parameter, or None."""
        for key, value in self.query:
            if key == name:
                return value
        return None

    def number(self, name: str) -> int | None:
        """Return a query parameter as a whole number, or None where it is absent or something else."""
        value = self.parameter(name)
        return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 10 else None


class ResponseHead(Struct, frozen=True):
    """The provider's answer: status, and what a decoder needs to read the body."""

    status: int
    content_type: str = ""
    content_encoding: str = ""

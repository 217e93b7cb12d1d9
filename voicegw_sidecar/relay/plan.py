"""The relay's interface: what arrives, what is decided about it, and who is told.

Plain values and protocols: nothing here says which HTTP library moves the bytes.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from msgspec import Struct

from voicegw_sidecar.clock import Clock
from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.wire.frames import End, Frame, ResponseHead, Side

Headers = tuple[tuple[str, str], ...]
HOLD_LIMIT_BYTES = 8 * 1024 * 1024
"""Request bodies up to this are held, so that they can be edited, or sent again if a pooled connection is
dead; longer ones are streamed on a connection of their own."""


class Arrival(Struct, frozen=True):
    """A request as it came: ``target`` is the raw request target, path and query, never decoded."""

    method: str
    target: str
    headers: Headers
    is_socket: bool
    scheme: str
    peer: str
    peer_port: int = 0
    own_port: int = 0
    connection: object = None
    """What requests of one connection have in common while it lasts; it can be referred to weakly."""

    def header(self, name: str) -> str | None:
        """Return the first value of a header, whatever its case, or None."""
        wanted = name.lower()
        for key, value in self.headers:
            if key.lower() == wanted:
                return value
        return None


class Timeouts(Struct, frozen=True):
    """Limits towards a provider, in seconds; None is no limit. The total is never limited."""

    connect_s: float = 10.0
    first_byte_s: float = 60.0
    idle_s: float | None = None


class Refusal(Struct, frozen=True):
    """An answer of the sidecar's own: nothing goes upstream. ``code`` is the contract's word for why."""

    status: int
    headers: Headers
    body: bytes
    code: str = ""


class Observer(Protocol):
    """Is told what passes, after it was forwarded. Synchronous, bounded, and never in the way."""

    def answered(self, head: ResponseHead, at_ns: int) -> None:
        """The provider's answer began."""
        ...

    def frame(self, frame: Frame) -> None:
        """A frame went on."""
        ...

    def ended(self, side: Side, end: End, at_ns: int) -> None:
        """One side's body or socket ended."""
        ...

    def failed(self, error: SidecarError, at_ns: int) -> None:
        """The provider could not be reached, or did not answer in time."""
        ...

    def closed(self, end: End, at_ns: int) -> None:
        """Everything is over; called exactly once."""
        ...

    def degrade(self, at_ns: int) -> None:
        """The observer itself raised: give up metering, keep what is known."""
        ...

    async def settle(self) -> None:
        """Wait, briefly, until what was recorded is stored: called before the last piece goes on."""
        ...


class Part(enum.StrEnum):
    """Where the sidecar holds what it relays, for as long as it takes to pass it on."""

    REQUEST = "request"
    """From a request's head until its provider is asked for, without waiting for its body: deciding, editing."""
    ANSWER_BEGINS = "answer_begins"
    """The first piece of an answer, from when it was read until it was written."""
    ANSWER_ENDS = "answer_ends"
    """The last piece, with the wait for its row."""
    FRAME = "frame"
    """A frame of a socket, from when it was read until it was written."""


class Watch(Protocol):
    """Is told what the relay does, in numbers; must take no time and never raise."""

    def connected(self, *, is_socket: bool) -> None:
        """A request or socket was let on."""
        ...

    def refused(self, code: str) -> None:
        """A request was refused."""
        ...

    def delayed(self, part: Part, delay_ns: int) -> None:
        """Something went on after so long."""
        ...


class Stop(Struct, frozen=True):
    """A frame that a gate does not let on: what the agent is told instead, as text frames."""

    answers: tuple[bytes, ...] = ()


class Gate(Protocol):
    """Asked about each frame of a socket that carries many exchanges, before the frame goes on."""

    @property
    def close_code(self) -> int:
        """The code to close the agent's side with."""
        ...

    @property
    def close_reason(self) -> str:
        """Its reason; what is over 123 bytes is cut."""
        ...

    def stops(self, frame: Frame) -> Stop | None:
        """Say whether to stop a frame; one of the provider's goes on all the same, the answers after it."""
        ...

    def is_over(self) -> bool:
        """Say whether the socket is to be closed, now that what ran has ended."""
        ...


class Plan(Struct, frozen=True):
    """Where a request goes and what may change on the way: the contract's closed list, as values.

    ``headers`` are complete but for Host and framing. ``edit_body`` returns a new request body, or None to
    leave it, or raises to refuse it; it is given whole bodies of up to ``hold_limit_bytes``, and with
    ``must_hold`` a longer one is refused. ``drops_event``, asked once the body is edited, returns what names
    server-sent events to keep from the agent. ``is_recorded`` says that the last piece waits for
    `Observer.settle`. ``blame`` gives the error that a failure to reach the provider is answered with.
    """

    url: str
    headers: Headers
    observer: Observer
    refuse: Callable[[SidecarError], Refusal]
    timeouts: Timeouts = Timeouts()
    answer_headers: Headers = ()
    subprotocols: tuple[str, ...] = ()
    edit_body: Callable[[bytes], bytes | None] | None = None
    drops_event: Callable[[], Callable[[bytes | None], bool] | None] | None = None
    is_recorded: bool = False
    hold_limit_bytes: int = HOLD_LIMIT_BYTES
    must_hold: bool = False
    gate: Gate | None = None
    blame: Callable[[SidecarError], SidecarError] | None = None


class Served(Protocol):
    """A request whose protocol ends here; ``request`` and ``dialler`` are the relay's own."""

    async def run(self, request: Any, dialler: Any, clock: Clock) -> Any:
        """Serve it and return the answer."""
        ...


Decide = Callable[[Arrival], Awaitable[Plan | Refusal | Served]]

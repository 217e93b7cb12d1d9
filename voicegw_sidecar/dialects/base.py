"""What a dialect is: one connection's frames in, neutral voice events out.

A dialect keeps the state of one connection, does no IO, reads no clock and never raises on what the wire
brings: a payload it does not understand means no event.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar, cast

import msgspec
from msgspec import Struct

from voicegw_sidecar.dialects.tolerant import read_tolerantly
from voicegw_sidecar.events import SAID_LIMIT, SAID_LIMIT_CHARS, Answered, AudioIn, Began, Event, Prompted, Said
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.body import BodyCopy
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side
from voicegw_sidecar.wire.pcm import PcmFormat

T = TypeVar("T")
_SPEAKERS = ("user", "assistant")
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


class Ask(Struct, frozen=True):
    """What a frame asks the provider for: which exchange it belongs to, and whether it begins that exchange."""

    key: str
    model: str | None
    begins: bool


class SocketDialect:
    """Base of WebSocket dialects: nothing to learn from heads and ends."""

    opens_later = False
    """True where an exchange that was asked for begins only when the provider says so."""

    @property
    def model(self) -> str | None:
        """The model that the address names; None where only messages do."""
        return None

    def declines(self, frame: Frame) -> bool:
        """Say whether a frame of the provider says that what was asked for will not begin."""
        return False

    def asks(self, frame: Frame) -> Ask | None:
        """Say what a frame asks for before it goes on, changing nothing; None where it asks for nothing.

        Overridden where one socket carries many exchanges: a spent budget refuses the next one.
        """
        return None

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """A handshake tells nothing."""
        return NO_EVENTS

    def ended(self, side: Side, end: End) -> Iterable[Event]:
        """A close tells nothing: the meter knows what is still open."""
        return NO_EVENTS


class ListeningDialect(SocketDialect):
    """Base of speech-to-text sockets on which every binary frame of the agent is audio."""

    def __init__(self, model: str | None, pcm: PcmFormat | None) -> None:
        self._model = model
        self._pcm = pcm
        self._has_begun = False

    @property
    def model(self) -> str | None:
        """The model that the address names, or the provider's default."""
        return self._model

    def heard(self, frame: Frame) -> Iterable[Event]:
        """Take a frame of the agent; the first audio begins the stream."""
        if frame.kind is not Kind.BINARY or not frame.data:
            return NO_EVENTS
        audio = AudioIn(frame.data, self._pcm)
        if self._has_begun:
            return (audio,)
        self._has_begun = True
        return (Began(Modality.STT, model=self._model), audio)


def carries_many(dialect: Dialect) -> bool:
    """Say whether exchange follows exchange on this dialect's sockets, each of which can be refused."""
    return isinstance(dialect, SocketDialect) and type(dialect).asks is not SocketDialect.asks


class HttpDialect(ABC):
    """Base of HTTP dialects: reads a request once it is complete, then lets go of its copy.

    A provider that answers before it has the whole request begins the exchange with what was sent so far.
    """

    def __init__(self, head: RequestHead) -> None:
        self._request = BodyCopy()
        self._has_begun = False

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """Its head is an answer's first byte."""
        return [*self._begin(), Answered()]

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Collect the request; read the answer as it comes."""
        if frame.side is Side.PROVIDER:
            return self._answer_piece(frame.data)
        if not self._has_begun:
            self._request.add(frame.data)
        return NO_EVENTS

    def ended(self, side: Side, end: End) -> Iterable[Event]:
        """A whole request begins the exchange; a whole answer is the protocol's end."""
        if side is Side.AGENT:
            return self._begin()
        return [*self._begin(), *(self._answer_complete() if end is End.COMPLETE else ())]

    def _begin(self) -> Iterable[Event]:
        if self._has_begun:
            return NO_EVENTS
        self._has_begun = True
        events = list(self._begun())
        self._request.clear()
        return events

    @abstractmethod
    def _begun(self) -> Iterable[Event]:
        """Read the collected request."""

    @abstractmethod
    def _answer_piece(self, data: bytes) -> Iterable[Event]:
        """Read a piece of the answer's body."""

    @abstractmethod
    def _answer_complete(self) -> Iterable[Event]:
        """Read what only a whole answer tells."""


def prompted(messages: Iterable[tuple[str | None, str]], key: str = "") -> Prompted:
    """Return what was said so far, from the roles and texts of a request's messages."""
    known = [(role, text) for role, text in messages if role not in ("system", "developer")]
    spoken = [role == "user" and bool(text) for role, text in known]
    is_continued = any(spoken) and not spoken[-1]
    said = [Said(text[-SAID_LIMIT_CHARS:], role == "user") for role, text in known if text and role in _SPEAKERS]
    return Prompted(tuple(said[-SAID_LIMIT:]), key, is_continued)


def has_other_rates(service_tier: str | None) -> bool:
    """Say whether a tier that an answer names is billed by other rates than the plain ones."""
    return service_tier not in (None, "auto", "default", "on_demand")


def is_event_stream(head: ResponseHead) -> bool:
    """Say whether an answer is server-sent events that can be read as they come."""
    is_readable = head.content_encoding.strip().lower() in ("", "identity")
    return is_readable and head.content_type.lower().startswith("text/event-stream")


def decode_json(decoder: msgspec.json.Decoder[T], payload: bytes | None) -> T | None:
    """Decode a payload, or return None where it is not what the dialect understands.

    What the strict decoder refuses and a provider's may take is read again tolerantly (``dialects.tolerant``):
    a call must not escape its budget by the way it is spelt.
    """
    if not payload:
        return None
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = read_tolerantly(payload, decoder.type)
        return cast(T, found) if found is not None else None

"""Captures: recorded or written-down connections, replayed through a dialect and a meter without any IO.

A capture is a ``.jsonl`` file. Its first line says where the facts come from and what the heads were; each
further line is a frame (``text`` or ``b64``) or an end (``true``, or ``"cancelled"`` or ``"broken"``).
Beside it lies a ``.expected`` file: the events, then the closed exchanges.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from voicegw_sidecar.dialects.base import Dialect
from voicegw_sidecar.events import AudioIn, AudioOut, Event, Heard
from voicegw_sidecar.meter import Closed, Meter, Opened
from voicegw_sidecar.providers import BY_ID, Endpoint
from voicegw_sidecar.terms import NS_PER_MS, Exchange, Status, Usage
from voicegw_sidecar.wire.body import BodyCopy, error_code
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side

FOLDER = Path(__file__).parent / "captures"
_STATUS_OF_END = {End.COMPLETE: Status.OK, End.BROKEN: Status.UPSTREAM_ERROR, End.CANCELLED: Status.CANCELLED}


class Head(Struct, forbid_unknown_fields=True):
    """First line of a capture."""

    source: str
    provider: str
    method: str
    path: str
    query: list[tuple[str, str]] = []
    content_type: str = ""
    status: int = 200
    answer_type: str = ""


class Line(Struct, forbid_unknown_fields=True):
    """One frame or one end."""

    side: Side
    at_ms: int
    text: str | None = None
    b64: str | None = None
    end: bool | str | None = None

    @property
    def at_ns(self) -> int:
        return self.at_ms * NS_PER_MS

    @property
    def data(self) -> bytes:
        return self.text.encode() if self.text is not None else base64.b64decode(self.b64 or "")


class Capture:
    """One file, read."""

    def __init__(self, path: Path) -> None:
        first, *rest = path.read_bytes().splitlines()
        self.name = path.stem
        self.expected = path.with_suffix(".expected")
        self.head = msgspec.json.decode(first, type=Head)
        self.lines = [msgspec.json.decode(line, type=Line) for line in rest]

    def __str__(self) -> str:
        return self.name

    @property
    def is_socket(self) -> bool:
        return self.head.method == "GET"

    @property
    def endpoint(self) -> Endpoint:
        found = BY_ID[self.head.provider].endpoint(self.head.method, self.head.path, self.is_socket)
        assert found is not None, f"{self.name}: no endpoint at {self.head.path}"
        return found


def captures(pattern: str = "*") -> list[Capture]:
    """Every capture whose name fits ``pattern``."""
    return [Capture(path) for path in sorted(FOLDER.glob(f"{pattern}.jsonl"))]


class Replay:
    """A connection as an observer of the relay sees it: the events it decoded and the exchanges it closed."""

    def __init__(self, capture: Capture) -> None:
        head = capture.head
        request = RequestHead(head.method, head.path, tuple(head.query), head.content_type)
        self.dialect: Dialect = capture.endpoint.dialect(request)
        self.meter = Meter()
        self.events: list[tuple[int, Event]] = []
        self.opened: list[int] = []
        self.closed: list[Exchange] = []
        self._capture = capture
        self._error_body: BodyCopy | None = None
        self._has_answer = False

    def line(self, line: Line, pieces: Sequence[bytes] | None = None) -> None:
        """Feed one line; ``pieces`` are its bytes cut up."""
        if line.end is not None:
            self._end(line)
            return
        if line.side is Side.PROVIDER:
            self._answer(line.at_ns)
        kind = Kind.BODY if not self._capture.is_socket else Kind.TEXT if line.text is not None else Kind.BINARY
        for piece in pieces if pieces is not None else [line.data]:
            if self._error_body is not None and line.side is Side.PROVIDER:
                self._error_body.add(piece)
            else:
                self._take(self.dialect.decode(Frame(line.side, kind, line.at_ns, piece)), line.at_ns)

    def close(self, status: Status, at_ns: int) -> None:
        """End the connection."""
        error = None
        if self._error_body is not None:
            status = Status.UPSTREAM_ERROR
            error = error_code(self._error_body.content()) or f"http_{self._capture.head.status}"
        elif status is Status.UPSTREAM_ERROR:
            error = "connection_broken"
        self.meter.close(status, at_ns, error)
        self._changes()

    def _answer(self, at_ns: int) -> None:
        if self._has_answer:
            return
        self._has_answer = True
        head = self._capture.head
        if head.status >= 400:
            self._error_body = BodyCopy()
        else:
            self._take(self.dialect.answered(ResponseHead(head.status, head.answer_type)), at_ns)

    def _end(self, line: Line) -> None:
        end = End.COMPLETE if line.end is True else End(line.end)
        if end is not End.CANCELLED and self._error_body is None:
            self._take(self.dialect.ended(line.side, end), line.at_ns)
        if self._capture.is_socket or line.side is Side.PROVIDER or end is not End.COMPLETE:
            self.close(_STATUS_OF_END[end], line.at_ns)

    def _take(self, events: Iterable[Event], at_ns: int) -> None:
        for event in events:
            self.events.append((at_ns, event))
            self.meter.apply(event, at_ns)
        self._changes()

    def _changes(self) -> None:
        for change in self.meter.changes():
            match change:
                case Opened(exchange):
                    self.opened.append(exchange.ref)
                case Closed(exchange):
                    self.closed.append(exchange)


def replay(capture: Capture) -> Replay:
    """Replay a whole capture."""
    run = Replay(capture)
    for line in capture.lines:
        run.line(line)
    return run


def written(run: Replay) -> str:
    """The events and exchanges of a replay as an ``.expected`` file has them."""
    lines: list[str] = []
    for at_ns, event in run.events:
        lines.append(f"{at_ns // NS_PER_MS:>6} {_event(event)}")
    lines.append("")
    lines += [_exchange(exchange) for exchange in run.closed]
    return "\n".join(lines) + "\n"


def _event(event: Event) -> str:
    if isinstance(event, AudioIn | Heard):
        return f"{type(event).__name__}({len(event.data)} bytes, {event.pcm.encoding if event.pcm else None})"
    return _struct(msgspec.structs.replace(event, audio=b"") if isinstance(event, AudioOut) else event)


def _struct(value: Struct) -> str:
    """A struct by the fields that say something: those left out are None, empty or False."""
    fields = msgspec.structs.asdict(value).items()
    said = [(name, field) for name, field in fields if field not in (None, "", b"", ()) and field is not False]
    values = ", ".join(f"{name}={_struct(field) if isinstance(field, Usage) else repr(field)}" for name, field in said)
    return f"{type(value).__name__}({values})"


def _exchange(exchange: Exchange) -> str:
    plain = msgspec.to_builtins(exchange)
    plain["marks_ms"] = {mark: at_ns // NS_PER_MS for mark, at_ns in plain.pop("marks_ns").items()}
    return msgspec.json.encode({name: value for name, value in plain.items() if value not in (None, "")}).decode()

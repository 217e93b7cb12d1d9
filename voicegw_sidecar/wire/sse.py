"""Server-sent events: bytes cut anywhere to payloads, by the WHATWG rules that providers really use.

Lines end with CR, LF or CRLF; comments, ``event:`` and ``id:`` lines are skipped; several ``data:`` lines
join with a newline. One event is at most ``limit_bytes``; a longer one is dropped and counted.
Reference: https://html.spec.whatwg.org/multipage/server-sent-events.html (read 2026-11-20).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

EVENT_LIMIT_BYTES = 4 * 1024 * 1024
_EVENT_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class SseEvent(Struct, frozen=True):
    """One event: its joined ``data`` (None for a comment or an empty event) and its bytes on the wire."""

    data: bytes | None
    raw: bytes


class SseSplitter:
    """Cuts a byte stream into events; holds at most one unfinished event."""

    def __init__(self, limit_bytes: int = EVENT_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._pending = b""
        self._skipping = False
        self._at_start = True
        self.dropped = 0

    @property
    def pending(self) -> bytes:
        """Bytes of the event that has not ended yet."""
        return self._pending

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Return the events that ``chunk`` completes."""
        buffer = self._pending + chunk if self._pending else chunk
        events: list[SseEvent] = []
        start = 0
        for match in _EVENT_END.finditer(buffer):
            raw = buffer[start : match.end()]
            start = match.end()
            if self._skipping:
                self._skipping = False
                continue
            events.append(SseEvent(self._data(raw), raw))
        self._pending = buffer[start:] if start else buffer
        if len(self._pending) > self._limit_bytes:
            # keep the tail only: enough to recognise where the oversized event ends
            self._pending = self._pending[-3:]
            self.dropped += not self._skipping
            self._skipping = True
        return events

    def _data(self, raw: bytes) -> bytes | None:
        if self._at_start:
            self._at_start = False
            raw = raw.removeprefix(_BOM)
        if raw.startswith(b"data: ") and raw.endswith(b"\n\n") and b"\r" not in raw and raw.count(b"\n") == 2:
            return raw[6:-2]  # the one form that nearly every chunk of every provider has
        values = []
        for line in _LINE_END.split(raw):
            name, _, value = line.partition(b":")
            if name == b"data":
                values.append(value.removeprefix(b" "))
        return b"\n".join(values) if values else None


class SseFilter:
    """Passes a byte stream on event by event, leaving some events out; loses nothing else.

    An event longer than ``limit_bytes`` ends the filtering: from there on everything passes as it comes.
    """

    def __init__(self, drops: Callable[[bytes | None], bool], limit_bytes: int = EVENT_LIMIT_BYTES) -> None:
        self._drops = drops
        self._limit_bytes = limit_bytes
        self._splitter = SseSplitter(limit_bytes * 2)
        self._passing = False

    def feed(self, chunk: bytes) -> bytes:
        """Return what may go on now: whole events, without the dropped ones."""
        if self._passing:
            return chunk
        kept = b"".join(event.raw for event in self._splitter.feed(chunk) if not self._drops(event.data))
        if len(self._splitter.pending) > self._limit_bytes:
            self._passing = True
            return kept + self._splitter.pending
        return kept

    def rest(self) -> bytes:
        """Return the bytes of an event that never ended."""
        return b"" if self._passing else self._splitter.pending

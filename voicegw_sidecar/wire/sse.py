"""Server-sent events: bytes cut anywhere to payloads, by the WHATWG rules that providers really use.

Lines end with CR, LF or CRLF; comments, ``event:`` and ``id:`` lines are skipped; several ``data:`` lines
join with a newline. One event is at most ``limit_bytes``; a longer one is dropped and counted.
Reference: https://html.spec.whatwg.org/multipage/server-sent-events.html (read 2026-11-20).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator

from msgspec import Struct

EVENT_LIMIT_BYTES = 4 * 1024 * 1024
_EVENT_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class SseEvent(Struct, frozen=True, gc=False):
    """One event: its joined ``data`` (None for a comment or an empty event) and its bytes on the wire."""

    data: bytes | None
    raw: bytes


class SseSplitter:
    """Cuts a byte stream into events; holds at most one unfinished event."""

    def __init__(self, limit_bytes: int = EVENT_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._pending = bytearray()
        self._has_cr = False
        self._skipping = False
        self._at_start = True
        self.dropped = 0

    @property
    def pending(self) -> bytes:
        """Bytes of the event that has not ended yet."""
        return bytes(self._pending)

    @property
    def pending_bytes(self) -> int:
        """How many they are."""
        return len(self._pending)

    def rest(self) -> bytes | None:
        """Return the data of an event that the end of the stream cut short of its blank line.

        Browsers drop such an event; servers that forget the blank line mean it.
        """
        pending, self._pending = bytes(self._pending), bytearray()
        return None if self._skipping or not pending else self._data(pending)

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """Return the events that ``chunk`` completes."""
        # what was pending holds no end, so only its last bytes can be part of one
        searched_bytes = max(0, len(self._pending) - 3)
        self._has_cr = self._has_cr or b"\r" in chunk
        buffer: bytes | bytearray = chunk
        if self._pending:
            self._pending += chunk
            buffer = self._pending
        events: list[SseEvent] = []
        start = 0
        for end in _event_ends(buffer, searched_bytes, has_cr=self._has_cr):
            raw = bytes(buffer[start:end])
            start = end
            if self._skipping:
                self._skipping = False
                continue
            events.append(SseEvent(self._data(raw), raw))
        if buffer is self._pending:
            del self._pending[:start]
        else:
            self._pending += chunk[start:]
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


def _event_ends(buffer: bytes | bytearray, start: int, *, has_cr: bool) -> Iterator[int]:
    """Yield where each event ends; plain searching where all lines end with LF, as nearly all do."""
    if has_cr:
        yield from (match.end() for match in _EVENT_END.finditer(buffer, start))
        return
    while (found := buffer.find(b"\n\n", start)) >= 0:
        start = found + 2
        yield start


class SseFilter:
    """Passes a byte stream on event by event, leaving some events out; loses nothing else.

    An event longer than ``limit_bytes`` ends the filtering: from there on everything passes as it comes.
    """

    def __init__(self, drops: Callable[[bytes | None], bool], limit_bytes: int = EVENT_LIMIT_BYTES) -> None:
        self._drops = drops
        self._limit_bytes = limit_bytes
        self._splitter = SseSplitter(sys.maxsize)  # the limit is kept here: the splitter's would lose bytes
        self._passing = False

    def feed(self, chunk: bytes) -> bytes:
        """Return what may go on now: whole events, without the dropped ones."""
        if self._passing:
            return chunk
        kept = b"".join(event.raw for event in self._splitter.feed(chunk) if not self._drops(event.data))
        if self._splitter.pending_bytes > self._limit_bytes:
            pending = self._splitter.pending
            self._passing = True
            self._splitter = SseSplitter()
            return kept + pending
        return kept

    def rest(self) -> bytes:
        """Return the bytes of an event that never ended."""
        return self._splitter.pending

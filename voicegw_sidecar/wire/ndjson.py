"""Newline-delimited JSON: bytes cut anywhere to lines. One line is at most ``limit_bytes``; a longer one is dropped.

Reference: https://github.com/ndjson/ndjson-spec (read 2026-11-21).
"""

from __future__ import annotations

LINE_LIMIT_BYTES = 4 * 1024 * 1024


class LineSplitter:
    """Cuts a byte stream into lines; holds at most one unfinished line."""

    def __init__(self, limit_bytes: int = LINE_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._pending = bytearray()
        self._skipping = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that ``chunk`` completes, blank ones left out."""
        first, *lines = chunk.split(b"\n")
        self._pending += first
        if lines:
            *lines, last = bytes(self._pending), *lines
            self._pending = bytearray(last)
            if self._skipping:
                self._skipping = False
                del lines[0]
        if len(self._pending) > self._limit_bytes:
            self._pending.clear()
            self._skipping = True
        return [line for line in lines if line.strip()]

    def rest(self) -> bytes | None:
        """Return the line that the end of the stream cut short of its newline."""
        pending, self._pending = bytes(self._pending), bytearray()
        return None if self._skipping or not pending.strip() else pending

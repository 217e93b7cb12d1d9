"""The head of a WAV file: how many seconds its audio lasts.

Reference: the RIFF/WAVE chunk layout; sizes of 0 or 0xFFFFFFFF are what streaming writers leave, and then
the length of the file itself counts.
"""

from __future__ import annotations

import struct

from msgspec import Struct

_HEAD_LIMIT_BYTES = 64 * 1024


class WavHead(Struct, frozen=True):
    """What comes before the samples."""

    bytes_per_s: int
    size_bytes: int
    """Length of the head: the samples begin here."""
    data_bytes: int
    """Length of the samples as the head states it."""


def wav_head(content: bytes) -> WavHead | None:
    """Read the head from a file's first bytes; None if it is not all there or not a WAV."""
    if len(content) < 12 or content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return None
    content = content[:_HEAD_LIMIT_BYTES]  # a file of nothing but tiny chunks is no recording
    bytes_per_s, offset = 0, 12
    while offset + 8 <= len(content):
        name, length = content[offset : offset + 4], struct.unpack_from("<I", content, offset + 4)[0]
        offset += 8
        if name == b"fmt " and offset + 16 <= len(content):
            bytes_per_s = struct.unpack_from("<I", content, offset + 8)[0]
        elif name == b"data":
            return WavHead(bytes_per_s, offset, length) if bytes_per_s else None
        offset += length + (length & 1)
    return None


def wav_seconds(content: bytes, size_bytes: int) -> float | None:
    """Return the audio's seconds, given the file's first bytes and whole length; None if it is not a WAV."""
    head = wav_head(content)
    if head is None:
        return None
    present_bytes = max(0, size_bytes - head.size_bytes)
    return min(head.data_bytes or present_bytes, present_bytes) / head.bytes_per_s


class WavStream:
    """A WAV file that arrives in pieces; holds its head only."""

    def __init__(self) -> None:
        self._pending = b""
        self._head: WavHead | None = None
        self._is_wav = True

    def feed(self, piece: bytes) -> tuple[int, float | None]:
        """Return how many bytes of samples ``piece`` brings and their seconds; None seconds if it is no WAV."""
        if self._head is not None:
            return len(piece), len(piece) / self._head.bytes_per_s
        if not self._is_wav:
            return len(piece), None
        self._pending += piece
        self._head = wav_head(self._pending)
        if self._head is not None:
            samples = len(self._pending) - self._head.size_bytes
            self._pending = b""
            return samples, samples / self._head.bytes_per_s
        if len(self._pending) > _HEAD_LIMIT_BYTES or not b"RIFF".startswith(self._pending[:4]):
            size, self._pending, self._is_wav = len(self._pending), b"", False
            return size, None
        return 0, None

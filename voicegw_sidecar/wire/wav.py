"""The head of a WAV file: what its samples are and how many seconds they last.

Reference: the RIFF/WAVE chunk layout; sizes of 0 or 0xFFFFFFFF are what streaming writers leave, and then
the length of the file itself counts.
"""

from __future__ import annotations

import struct

from msgspec import Struct

from voicegw_sidecar.wire.pcm import PcmFormat, pcm_format

_HEAD_LIMIT_BYTES = 64 * 1024
_ENCODINGS = {(1, 16): "pcm_s16le", (3, 32): "pcm_f32le", (6, 8): "pcm_alaw", (7, 8): "pcm_mulaw"}
_EXTENSIBLE = 0xFFFE  # the encoding then stands further back, as the first two bytes of a longer name
_EXTENSIBLE_BYTES = 26


class WavHead(Struct, frozen=True):
    """What comes before the samples."""

    bytes_per_s: int
    size_bytes: int
    """Length of the head: the samples begin here."""
    data_bytes: int
    """Length of the samples as the head states it."""
    pcm: PcmFormat | None = None
    """What the samples are; None for an encoding that is none of `PcmFormat`'s."""


def wav_head(content: bytes) -> WavHead | None:
    """Read the head from a file's first bytes; None if it is not all there or not a WAV."""
    if len(content) < 12 or content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return None
    content = content[:_HEAD_LIMIT_BYTES]  # a file of nothing but tiny chunks is no recording
    bytes_per_s, pcm, offset = 0, None, 12
    while offset + 8 <= len(content):
        name, length = content[offset : offset + 4], struct.unpack_from("<I", content, offset + 4)[0]
        offset += 8
        if name == b"fmt " and offset + 16 <= len(content):
            bytes_per_s = struct.unpack_from("<I", content, offset + 8)[0]
            pcm = _format(content[offset : offset + max(length, 16)])
        elif name == b"data":
            return WavHead(bytes_per_s, offset, length, pcm) if bytes_per_s else None
        offset += length + (length & 1)
    return None


def _format(chunk: bytes) -> PcmFormat | None:
    """Read the ``fmt`` chunk, of which at least 16 bytes are there."""
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE and len(chunk) >= _EXTENSIBLE_BYTES:
        tag = struct.unpack_from("<H", chunk, _EXTENSIBLE_BYTES - 2)[0]
    return pcm_format(_ENCODINGS.get((tag, bits)), rate_hz, channels)


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

    @property
    def head(self) -> WavHead | None:
        """What comes before the samples; None until it is all there, and for what is no WAV file."""
        return self._head

    @property
    def is_wav(self) -> bool:
        """False once it is certain that this is no WAV file."""
        return self._is_wav

    def feed(self, piece: bytes) -> tuple[int, float | None]:
        """Return how many bytes of samples ``piece`` brings and their seconds; None seconds if it is no WAV."""
        size = len(self.samples(piece))
        return size, None if self._head is None else size / self._head.bytes_per_s

    def samples(self, piece: bytes) -> bytes:
        """Return the samples that ``piece`` brings, without the head; all of it if it is no WAV.

        What the head says of their length is not believed: streaming servers state that of their first piece.
        """
        if self._head is not None or not self._is_wav:
            return piece
        self._pending += piece
        self._head = wav_head(self._pending)
        if self._head is not None:
            samples, self._pending = self._pending[self._head.size_bytes :], b""
            return samples
        if len(self._pending) > _HEAD_LIMIT_BYTES or not b"RIFF".startswith(self._pending[:4]):
            everything, self._pending, self._is_wav = self._pending, b"", False
            return everything
        return b""

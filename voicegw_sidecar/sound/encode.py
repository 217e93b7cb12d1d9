"""Speech packed into a file as it streams: 16-bit little-endian mono samples in, bytes of WAV, MP3, Opus or FLAC out.

By libsndfile, which writes to a file and goes back at its end to correct the beginning. What is behind us is already
on its way, so those corrections are left out: a WAV file states no length (as OpenAI's), FLAC states that it does not
know it, and MP3 begins with an empty frame where the index would have stood. MP3 has a constant bit rate, because
without its index the length of any other is guessed wrong. Measured with libsndfile 1.2.2, fed 100 ms at a time:
MP3 and FLAC come out as they go in, Opus a second of sound at a time, which is how its pages are cut.
Reference: https://libsndfile.github.io/libsndfile/api.html (read 2026-11-21).
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.sound import load
from voicegw_sidecar.sound.resample import Resampler

if TYPE_CHECKING:
    from soundfile import SoundFile

_UNKNOWN_BYTES = 0xFFFFFFFF
_FORMATS: dict[str, dict[str, Any]] = {
    # about 80 kbit/s at 24 kHz: half way between the least and the most that the rate allows
    "mp3": {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT", "compression_level": 0.5},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "flac": {"format": "FLAC", "subtype": "PCM_16"},
}
_RATES_HZ = {
    "mp3": (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
    "opus": (8_000, 12_000, 16_000, 24_000, 48_000),
}


class Encoder:
    """One file being written. ``container`` is one of ``pcm``, ``wav``, ``mp3``, ``opus`` (in Ogg) and ``flac``.

    A rate that the container cannot have is raised to the next that it can.
    """

    def __init__(self, container: str, rate_hz: int) -> None:
        self._head = b""
        self._sink = _Sink()
        self._file: SoundFile | None = None
        self._resampler = Resampler(rate_hz, encoded_hz(container, rate_hz))
        if container == "wav":
            self._head = wav_head_of_unknown_length(rate_hz)
        elif container != "pcm":
            load()
            import soundfile

            self._file = soundfile.SoundFile(
                self._sink, "w", samplerate=encoded_hz(container, rate_hz), channels=1, **_FORMATS[container]
            )

    def feed(self, samples: bytes) -> bytes:
        """Return what is ready of the file; half a sample at the end of ``samples`` waits for its other half."""
        return self._packed(self._resampler.feed(samples))

    def rest(self) -> bytes:
        """Return the end of the file."""
        packed = self._packed(self._resampler.rest())
        if self._file is None:
            return packed
        self._file.close()
        return packed + self._sink.take()

    def _packed(self, samples: bytes) -> bytes:
        if self._file is None:
            head, self._head = self._head, b""
            return head + samples
        if samples:
            self._file.buffer_write(samples, dtype="int16")
        return self._sink.take()


def encoded_hz(container: str, rate_hz: int) -> int:
    """Return the rate of a file for samples at ``rate_hz``; :class:`BadRequest` for a container that cannot be made."""
    if container not in ("pcm", "wav", *_FORMATS):
        raise BadRequest(f"sound: {container!r} cannot be made here; expected pcm, wav, mp3, opus or flac")
    rates_hz = _RATES_HZ.get(container, (rate_hz,))
    return min((known_hz for known_hz in rates_hz if known_hz >= rate_hz), default=rates_hz[-1])


def wav_head_of_unknown_length(rate_hz: int) -> bytes:
    """Return the head of a WAV file of 16-bit mono samples whose length is not known yet."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", _UNKNOWN_BYTES, b"WAVE") + form + struct.pack("<4sI", b"data", _UNKNOWN_BYTES)


class _Sink:
    """A file for libsndfile of which only what is new is kept; what was taken cannot be written again."""

    def __init__(self) -> None:
        self._new = bytearray()
        self._taken_bytes = 0
        self._at_bytes = 0

    def take(self) -> bytes:
        """Return what was written since the last time."""
        new = bytes(self._new)
        self._taken_bytes += len(new)
        self._new.clear()
        return new

    def write(self, data: bytes) -> int:
        """Write at the position; what falls on bytes that were taken is lost."""
        start = self._at_bytes - self._taken_bytes
        self._at_bytes += len(data)
        kept = bytes(data)[max(0, -start) :]
        if kept:
            start = max(0, start)
            self._new[start : start + len(kept)] = kept
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position."""
        origins = {io.SEEK_SET: 0, io.SEEK_CUR: self._at_bytes, io.SEEK_END: self._taken_bytes + len(self._new)}
        self._at_bytes = origins[whence] + offset
        return self._at_bytes

    def tell(self) -> int:
        """Return the position."""
        return self._at_bytes

    def read(self, size: int = -1) -> bytes:
        """Nothing: libsndfile asks for it and does not use it when it writes."""
        return b""

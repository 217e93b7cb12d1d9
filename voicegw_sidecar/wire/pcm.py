"""Sound without headers: how many bytes make a second, and how loud a stretch is.

Audio is never decoded to meter it: seconds come from lengths. Levels are mean absolute amplitudes,
0..32767, over windows of 10 ms.
"""

from __future__ import annotations

import sys
from array import array

from msgspec import Struct

WINDOW_S = 0.01
SILENCE_LEVEL = 200
"""Of 32767, about -44 dBFS: below it a telephone line is quiet."""
VOICE_OVER_NOISE = 3.0
"""How much louder than the noise around it a window is that is loud."""
NOISE_RISE = 1.005
"""How fast the noise may rise in a window: it forgets a quiet room in some seconds and ignores a syllable."""
ONSET_S = 0.03
"""Loud for less is a click or a tap: the shortest syllable is longer."""
_SAMPLE_BYTES = {
    "pcm_s16le": 2, "linear16": 2, "pcm": 2, "s16le": 2, "pcm_f32le": 4, "linear32": 4,
    "pcm_mulaw": 1, "mulaw": 1, "pcm_alaw": 1, "alaw": 1,
}  # fmt: skip
_S16 = frozenset({"pcm_s16le", "linear16", "pcm", "s16le"})
_MULAW = frozenset({"pcm_mulaw", "mulaw"})
_SAMPLES_PER_WINDOW = 20


class PcmFormat(Struct, frozen=True):
    """Raw audio: encoding name as on the wire, samples per second and channels."""

    encoding: str
    rate_hz: int
    channels: int = 1

    @property
    def bytes_per_s(self) -> int:
        """Bytes of one second of audio."""
        return _SAMPLE_BYTES[self.encoding] * self.rate_hz * self.channels

    def seconds(self, size_bytes: int) -> float:
        """Seconds that ``size_bytes`` of this audio last."""
        return size_bytes / self.bytes_per_s


def pcm_format(encoding: str | None, rate_hz: int | None, channels: int | None = 1) -> PcmFormat | None:
    """Return the format, or None for compressed audio or an impossible rate."""
    if encoding is None or rate_hz is None or encoding.lower() not in _SAMPLE_BYTES:
        return None
    if not 1000 <= rate_hz <= 384_000 or not 1 <= (channels or 1) <= 64:
        return None
    return PcmFormat(encoding.lower(), rate_hz, channels or 1)


def base64_size(text_length: int, padding: int = 0) -> int:
    """Bytes behind ``text_length`` characters of base64, of which ``padding`` are ``=``."""
    return text_length * 3 // 4 - padding


def _mulaw_table() -> list[int]:
    """G.711 mu-law: byte to absolute linear amplitude."""
    table = []
    for code in range(256):
        inverted = ~code & 0xFF
        exponent, mantissa = (inverted >> 4) & 7, inverted & 0x0F
        table.append((((mantissa << 3) + 0x84) << exponent) - 0x84)
    return table


_MULAW_LEVEL = _mulaw_table()


def levels(data: bytes, pcm: PcmFormat) -> list[int]:
    """Return the loudness of each 10 ms window of ``data``; empty where the encoding is not understood.

    A last window of less than 10 ms counts as one.
    """
    window = max(1, round(pcm.rate_hz * pcm.channels * WINDOW_S))
    # a level needs no precision: about twenty samples tell it; an odd stride meets both channels of stereo
    # and keeps out of step with tones at even fractions of the rate
    stride = max(1, window // _SAMPLES_PER_WINDOW) | 1
    if pcm.encoding in _S16:
        samples = array("h", data[: len(data) & ~1])
        if sys.byteorder == "big":
            samples.byteswap()
        pieces = [samples[start : start + window : stride] for start in range(0, len(samples), window)]
        return [sum(map(abs, piece)) // len(piece) for piece in pieces]
    if pcm.encoding in _MULAW:
        codes = [data[start : start + window : stride] for start in range(0, len(data), window)]
        return [sum(map(_MULAW_LEVEL.__getitem__, piece)) // len(piece) for piece in codes]
    return []

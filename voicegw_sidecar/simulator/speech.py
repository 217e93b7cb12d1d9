"""Audible sound without a voice: a buzz that rises and falls like syllables.

Deterministic and cheap: one second per format is computed once and repeated. Compressed formats get bytes
of a plausible length that no decoder understands.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from functools import lru_cache

from voicegw_sidecar.wire.pcm import PcmFormat

_PITCH_HZ = 125  # divides the usual sample rates into whole cycles; a low voice
_SYLLABLES_PER_S = 4
_LOUDEST = 12_000
_QUIETEST = 2_400  # between syllables: still far above any silence threshold
_COMPRESSED_BYTES_PER_S = 8_000


def sound(pcm: PcmFormat, start_s: float, length_s: float) -> bytes:
    """Return ``length_s`` of the endless buzz from ``start_s``: neighbouring pieces join without a click."""
    frame_bytes = pcm.bytes_per_s // pcm.rate_hz
    return _repeat(
        _one_second(pcm), round(start_s * pcm.rate_hz) * frame_bytes, round(length_s * pcm.rate_hz) * frame_bytes
    )


def silence(pcm: PcmFormat, length_s: float) -> bytes:
    """Return ``length_s`` of complete silence."""
    quiet = {"pcm_mulaw": b"\xff", "mulaw": b"\xff", "pcm_alaw": b"\xd5", "alaw": b"\xd5"}.get(pcm.encoding, b"\0")
    return quiet * (round(length_s * pcm.rate_hz) * (pcm.bytes_per_s // pcm.rate_hz))


def compressed(start_s: float, length_s: float) -> bytes:
    """Return bytes that stand for ``length_s`` of compressed audio; no decoder understands them."""
    pattern = bytes((7 * index + 13) % 256 for index in range(256))
    return _repeat(pattern, round(start_s * _COMPRESSED_BYTES_PER_S), round(length_s * _COMPRESSED_BYTES_PER_S))


def wav_header(rate_hz: int) -> bytes:
    """Return the header of an endless 16-bit mono WAV file: its sizes are all ones, as when streaming."""
    endless = 0xFFFFFFFF
    form = struct.pack("<HHIIHH", 1, 1, rate_hz, rate_hz * 2, 2, 16)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", endless, b"WAVE", b"fmt ", 16) + form + struct.pack("<4sI", b"data", endless)
    )


def _repeat(pattern: bytes, start: int, size: int) -> bytes:
    start %= len(pattern)
    return (pattern * ((start + size) // len(pattern) + 1))[start : start + size]


@lru_cache(maxsize=16)
def _one_second(pcm: PcmFormat) -> bytes:
    samples = _samples(pcm.rate_hz)
    if pcm.channels > 1:
        samples = [sample for sample in samples for _ in range(pcm.channels)]
    if pcm.encoding in ("pcm_mulaw", "mulaw"):
        return bytes(map(_mulaw, samples))
    if pcm.encoding in ("pcm_alaw", "alaw"):
        return bytes(map(_alaw, samples))
    if pcm.encoding == "linear32":
        packed = array("i", [sample << 16 for sample in samples])
    elif pcm.encoding == "pcm_f32le":
        return struct.pack(f"<{len(samples)}f", *[sample / 32768 for sample in samples])
    else:
        packed = array("h", samples)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _samples(rate_hz: int) -> list[int]:
    """One second of the buzz: a tone with two overtones under a syllable-shaped envelope."""
    samples = []
    for index in range(rate_hz):
        at_s = index / rate_hz
        turn = 2 * math.pi * _PITCH_HZ * at_s
        tone = (math.sin(turn) + 0.5 * math.sin(4 * turn) + 0.3 * math.sin(9 * turn)) / 1.8
        envelope = 0.5 - 0.5 * math.cos(2 * math.pi * _SYLLABLES_PER_S * at_s)
        samples.append(round(tone * (_QUIETEST + (_LOUDEST - _QUIETEST) * envelope)))
    return samples


def _mulaw(sample: int) -> int:
    """G.711 mu-law code of a 16-bit sample."""
    magnitude = min(abs(sample), 32_635) + 132
    exponent = magnitude.bit_length() - 8
    code = (0x80 if sample < 0 else 0) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 0x0F)
    return ~code & 0xFF


def _alaw(sample: int) -> int:
    """G.711 A-law code of a 16-bit sample."""
    magnitude = min(abs(sample), 32_767) >> 3
    exponent = max(magnitude.bit_length() - 5, 0)
    mantissa = (magnitude >> max(exponent, 1)) & 0x0F
    return ((0x80 if sample >= 0 else 0) | (exponent << 4) | mantissa) ^ 0x55

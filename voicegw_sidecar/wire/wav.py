"""The head of a WAV file: how many seconds its audio lasts.

Reference: the RIFF/WAVE chunk layout; sizes of 0 or 0xFFFFFFFF are what streaming writers leave, and then
the length of the file itself counts.
"""

from __future__ import annotations

import struct

_STREAMED_SIZES = frozenset({0, 0xFFFFFFFF, 0x7FFFFFFF})


def wav_seconds(head: bytes, size_bytes: int) -> float | None:
    """Return the audio's seconds, given the file's first bytes and whole length; None if it is not a WAV."""
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    bytes_per_s, offset = 0, 12
    while offset + 8 <= len(head):
        name, length = head[offset : offset + 4], struct.unpack_from("<I", head, offset + 4)[0]
        offset += 8
        if name == b"fmt " and offset + 16 <= len(head):
            bytes_per_s = struct.unpack_from("<I", head, offset + 8)[0]
        elif name == b"data":
            present = max(0, size_bytes - offset)
            data_bytes = present if length in _STREAMED_SIZES else min(length, present)
            return data_bytes / bytes_per_s if bytes_per_s else None
        offset += length + (length & 1)
    return None

"""Seconds from the head of a WAV file."""

from __future__ import annotations

import struct

import pytest

from voicegw_sidecar.wire.wav import WavStream, wav_head, wav_seconds


def wav(data_bytes: int, stated: int | None = None, rate_hz: int = 16_000, extra: bytes = b"") -> bytes:
    size = data_bytes if stated is None else stated
    head = b"RIFF" + struct.pack("<I", 36) + b"WAVE" + extra
    head += b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate_hz, rate_hz * 2, 2, 16)
    return head + b"data" + struct.pack("<I", size) + bytes(data_bytes)


LIST = b"LIST" + struct.pack("<I", 3) + b"abc\0"


@pytest.mark.parametrize("stated", [None, 0, 0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFDB])
@pytest.mark.parametrize("extra", [b"", LIST])
def test_seconds_come_from_the_head_or_the_length(stated: int | None, extra: bytes) -> None:
    content = wav(32_000, stated, extra=extra)
    assert wav_seconds(content, len(content)) == 1.0
    assert wav_seconds(content[:100], len(content)) == 1.0


@pytest.mark.parametrize("content", [b"", b"RIFF", b"OggS" + bytes(100), wav(0)[:30], b"RIFF\0\0\0\0WAVEdata\0\0\0\0"])
def test_what_is_no_whole_head_is_none(content: bytes) -> None:
    assert wav_seconds(content, 1000) is None
    assert wav_head(content) is None


@pytest.mark.parametrize("piece", [1, 7, 44, 50, 5000])
def test_stream_counts_samples_after_the_head(piece: int) -> None:
    content, stream = wav(441, 0xFFFFFFFF, 22_050, LIST), WavStream()
    sizes, seconds = 0, 0.0
    for start in range(0, len(content), piece):
        size, audio_s = stream.feed(content[start : start + piece])
        sizes += size
        seconds += audio_s or 0.0
    assert sizes == 441
    assert seconds == pytest.approx(0.01)


def test_stream_that_is_no_wav_has_no_seconds() -> None:
    stream = WavStream()
    assert stream.feed(b"ID") == (2, None)
    assert stream.feed(b"3abc") == (4, None)


def test_stream_gives_up_on_an_endless_head() -> None:
    stream = WavStream()
    content = b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\x7f" + bytes(70_000)
    assert stream.feed(content) == (len(content), None)

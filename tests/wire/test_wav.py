"""Seconds from the head of a WAV file."""

from __future__ import annotations

import struct

import pytest

from voicegw_sidecar.wire.pcm import PcmFormat
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


@pytest.mark.parametrize("piece", [1, 7, 44, 50, 5000])
def test_stream_gives_samples_however_it_is_cut(piece: int) -> None:
    samples = bytes(range(200))
    content, stream = wav(0, 0xFFFFFFFF, 22_050, LIST) + samples, WavStream()
    assert (
        b"".join(stream.samples(content[start : start + piece]) for start in range(0, len(content), piece)) == samples
    )
    assert stream.is_wav
    assert stream.head is not None
    assert stream.head.pcm == PcmFormat("pcm_s16le", 22_050)


def test_stream_that_is_no_wav_gives_everything() -> None:
    stream = WavStream()
    assert [stream.samples(b"RI"), stream.samples(b"CH sound"), stream.samples(b"s")] == [b"", b"RICH sound", b"s"]
    assert (stream.head, stream.is_wav) == (None, False)


@pytest.mark.parametrize(
    ("tag", "channels", "bits", "more", "encoding"),
    [
        (1, 1, 16, b"", "pcm_s16le"), (1, 2, 16, b"", "pcm_s16le"), (3, 1, 32, b"", "pcm_f32le"),
        (7, 1, 8, b"", "pcm_mulaw"), (6, 1, 8, b"", "pcm_alaw"),
        (0xFFFE, 1, 16, bytes(8) + b"\1\0" + bytes(14), "pcm_s16le"),
        (1, 1, 24, b"", None), (0xFFFE, 1, 16, b"", None), (0x55, 1, 0, b"", None),
    ],
)  # fmt: skip
def test_head_says_what_the_samples_are(tag: int, channels: int, bits: int, more: bytes, encoding: str | None) -> None:
    form = struct.pack("<HHIIHH", tag, channels, 8_000, 8_000, 1, bits) + more
    content = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", len(form)) + form + b"data\0\0\0\0"
    head = wav_head(content)
    assert head is not None
    assert head.pcm == (PcmFormat(encoding, 8_000, channels) if encoding else None)


def test_head_with_a_length_that_lies_is_read_all_the_same() -> None:
    content = wav(4)
    assert wav_head(content[:16] + b"\x02\0\0\0" + content[20:]) is None

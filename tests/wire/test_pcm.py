"""Seconds and levels of raw audio."""

from __future__ import annotations

import base64
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegw_sidecar.wire.pcm import PcmFormat, base64_size, levels, pcm_format


@pytest.mark.parametrize(
    ("encoding", "rate_hz", "channels", "bytes_per_s"),
    [
        ("linear16", 16_000, 1, 32_000),
        ("LINEAR16", 16_000, 2, 64_000),
        ("pcm_f32le", 44_100, 1, 176_400),
        ("mulaw", 8000, 1, 8000),
        ("pcm_alaw", 8000, None, 8000),
        ("opus", 48_000, 1, None),
        (None, 16_000, 1, None),
        ("linear16", None, 1, None),
        ("linear16", 1, 1, None),
        ("linear16", 16_000, 65, None),
    ],
)
def test_format_tells_bytes_a_second(
    encoding: str | None, rate_hz: int | None, channels: int | None, bytes_per_s: int | None
) -> None:
    pcm = pcm_format(encoding, rate_hz, channels)
    assert (pcm.bytes_per_s if pcm else None) == bytes_per_s


@given(st.binary(max_size=200))
def test_size_behind_base64_is_exact(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    assert base64_size(len(text), text.count("=", -2)) == len(data)
    assert base64_size(len(text.rstrip("="))) == len(data)


def test_levels_are_mean_amplitudes_of_10_ms() -> None:
    pcm = PcmFormat("linear16", 16_000)
    data = array("h", [0] * 160 + [1000, -1000] * 80 + [-32768] * 20).tobytes()
    assert levels(data, pcm) == [0, 1000, 32768]
    assert levels(data + b"\1", pcm) == [0, 1000, 32768]


def test_mulaw_silence_is_silent_and_its_loudest_is_loud() -> None:
    pcm = PcmFormat("mulaw", 8000)
    assert levels(b"\xff" * 80 + b"\x7f" * 80, pcm) == [0, 0]
    assert levels(b"\x00" * 80 + b"\x80" * 80, pcm) == [32124, 32124]


def test_encodings_that_are_not_understood_have_no_levels() -> None:
    assert levels(bytes(100), PcmFormat("pcm_f32le", 16_000)) == []

"""Speech at another rate."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sound.tones import level_db, noise_db, tone
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.sound.resample import Resampler

RATES = [(24_000, 16_000), (16_000, 24_000), (22_050, 24_000), (24_000, 44_100), (48_000, 8_000), (8_000, 48_000)]
BYTES_PER_S = 2


def resampled(samples: bytes, from_hz: int, to_hz: int, borders: list[int] | None = None) -> bytes:
    resampler = Resampler(from_hz, to_hz)
    cuts = [0, *sorted(borders or []), len(samples)]
    return b"".join([*(resampler.feed(samples[start:end]) for start, end in pairwise(cuts)), resampler.rest()])


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_split_gives_the_same_samples(from_hz: int, to_hz: int, data: st.DataObject) -> None:
    samples = random.Random(1).randbytes(3 * 2048 + data.draw(st.integers(0, 3)))
    borders = data.draw(st.lists(st.integers(0, len(samples)), max_size=20))
    assert resampled(samples, from_hz, to_hz, borders) == resampled(samples, from_hz, to_hz)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
@pytest.mark.parametrize("length_s", [0.0, 0.001, 0.1, 1.0])
def test_length_follows_the_rates(from_hz: int, to_hz: int, length_s: float) -> None:
    samples = tone(440, from_hz, length_s)
    wanted = len(samples) / BYTES_PER_S * to_hz / from_hz
    assert len(resampled(samples, from_hz, to_hz)) / BYTES_PER_S == pytest.approx(wanted, abs=2)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_a_tone_stays_a_tone_across_the_borders_of_its_pieces(from_hz: int, to_hz: int) -> None:
    samples = tone(1_000, from_hz, 1.0)
    pieces = list(range(0, len(samples), 2 * from_hz // 50))
    converted = resampled(samples, from_hz, to_hz, pieces)
    # rounding to 16 bits alone is at -92 dB here
    assert noise_db(converted, 1_000, to_hz) < -80
    assert level_db(converted) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(("hz", "from_hz", "to_hz"), [(9_000, 24_000, 16_000), (6_000, 24_000, 8_000)])
def test_what_the_lower_rate_cannot_carry_is_gone(hz: int, from_hz: int, to_hz: int) -> None:
    assert level_db(resampled(tone(hz, from_hz, 1.0), from_hz, to_hz)) < -70


def test_speech_keeps_its_high_sounds() -> None:
    assert level_db(resampled(tone(6_000, 24_000, 1.0), 24_000, 16_000)) > -0.5


@pytest.mark.parametrize(
    ("from_hz", "to_hz", "behind_ms"), [(24_000, 16_000, 21), (48_000, 16_000, 21), (24_000, 44_100, 2)]
)
def test_little_is_held_back(from_hz: int, to_hz: int, behind_ms: float) -> None:
    resampler, sent_s, got_s = Resampler(from_hz, to_hz), 0.0, 0.0
    for _ in range(100):
        piece = tone(440, from_hz, 0.02)
        sent_s += len(piece) / BYTES_PER_S / from_hz
        got_s += len(resampler.feed(piece)) / BYTES_PER_S / to_hz
        assert (sent_s - got_s) * 1000 < behind_ms


def test_loud_sound_does_not_wrap_around() -> None:
    loudest = (b"\xff\x7f" * 100 + b"\x00\x80" * 100) * 50
    converted = memoryview(resampled(loudest, 24_000, 16_000)).cast("h")
    assert max(converted) == 32_767
    assert min(converted) == -32_768


@pytest.mark.parametrize("borders", [[], [1, 2, 5], [3]])
def test_equal_rates_pass_whole_samples_through(borders: list[int]) -> None:
    assert resampled(b"abcdefg", 16_000, 16_000, borders) == b"abcdef"
    resampler = Resampler(16_000, 16_000)
    assert [resampler.feed(piece) for piece in (b"a", b"bc", b"d")] == [b"", b"ab", b"cd"]


@pytest.mark.parametrize("rates", [(0, 16_000), (16_000, 1_000_000), (-1, -1)])
def test_impossible_rates_are_refused(rates: tuple[int, int]) -> None:
    with pytest.raises(BadRequest, match="sample rate: found"):
        Resampler(*rates)

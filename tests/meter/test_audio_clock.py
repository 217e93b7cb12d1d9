"""Positions in the audio to the times at which it was relayed, and the last loud window."""

from __future__ import annotations

import math
import random
from array import array

import pytest

from voicegw_sidecar.meter.audio_clock import KEPT_FRAMES, KEPT_STRETCHES, AudioClock
from voicegw_sidecar.wire.pcm import PcmFormat

PCM = PcmFormat("linear16", 16_000)


def sound(length_s: float, level: int, noise: int = 0, seed: int = 1) -> bytes:
    rng = random.Random(seed)
    count = round(length_s * PCM.rate_hz)
    return array("h", [round(level * math.sin(n / 4)) + rng.randint(-noise, noise) for n in range(count)]).tobytes()


def fed(data: bytes, frame_s: float = 0.05, clock: AudioClock | None = None) -> AudioClock:
    clock = clock or AudioClock()
    step = round(frame_s * PCM.bytes_per_s) & ~1
    for number, start in enumerate(range(0, len(data), step)):
        clock.relayed(data[start : start + step], PCM, number)
    return clock


@pytest.mark.parametrize(
    ("position_s", "frame"),
    [
        (0.0, 0),
        (0.01, 0),
        (0.05, 0),
        (0.0500001, 0),
        (0.051, 1),
        (0.1, 1),
        (0.95, 18),
        (1.0, 19),
        (1.3, 19),
        (-0.1, None),
    ],
)
def test_position_belongs_to_the_frame_that_held_it(position_s: float, frame: int | None) -> None:
    assert fed(bytes(32_000)).time_of(position_s) == frame


def test_without_audio_there_is_no_time() -> None:
    assert AudioClock().time_of(0.0) is None


def test_position_before_the_kept_frames_has_no_time() -> None:
    clock = AudioClock()
    frame = bytes(320)
    for number in range(KEPT_FRAMES * 2 + 1):
        clock.relayed(frame, PCM, number)
    assert clock.time_of(KEPT_FRAMES * 0.01 - 0.02) is None
    assert clock.time_of(KEPT_FRAMES * 0.01 + 0.005) == KEPT_FRAMES
    assert clock.time_of(clock.position_s) == KEPT_FRAMES * 2


def test_position_does_not_drift() -> None:
    clock = AudioClock()
    for number in range(5000):
        clock.relayed(bytes(1102), PcmFormat("linear16", 44_100), number)
    assert clock.position_s == 5000 * 1102 / 88_200


@pytest.mark.parametrize("noise", [0, 60, 150])
@pytest.mark.parametrize("frame_s", [0.02, 0.05, 0.16, 0.013])
@pytest.mark.parametrize("level", [2000, 12_000])
def test_end_of_speech_is_found_over_noise(noise: int, frame_s: float, level: int) -> None:
    data = sound(1.0, 0, noise) + sound(0.8, level, noise) + sound(1.0, 0, noise)
    found = fed(data, frame_s).voiced_until_s
    assert found == pytest.approx(1.8, abs=0.03)


def test_a_loud_room_becomes_the_floor() -> None:
    clock = fed(sound(20.0, 0, 1500))
    settled = clock.voiced_until_s or 0.0
    assert settled < 10.0
    fed(sound(0.5, 15_000, 1500) + sound(0.5, 0, 1500), clock=clock)
    assert clock.voiced_until_s == pytest.approx(20.5, abs=0.03)


def test_silence_is_never_voiced() -> None:
    assert fed(bytes(64_000)).voiced_until_s is None
    assert fed(sound(2.0, 0, 150)).voiced_until_s is None


def test_voice_never_reaches_past_the_audio() -> None:
    clock = fed(sound(0.123, 12_000), 0.013)
    assert clock.voiced_until_s is not None
    assert clock.voiced_until_s <= clock.position_s


def test_beginning_belongs_to_the_frame_after_the_position() -> None:
    clock = fed(bytes(32_000))
    assert [clock.time_after(position_s) for position_s in (0.0, 0.049, 0.05, 0.95, 1.0)] == [0, 0, 1, 19, 19]
    assert AudioClock().time_after(0.0) is None


@pytest.mark.parametrize("noise", [0, 60, 150])
@pytest.mark.parametrize("frame_s", [0.02, 0.05, 0.16, 0.013])
@pytest.mark.parametrize("level", [2000, 12_000])
def test_beginning_of_speech_is_found_over_noise(noise: int, frame_s: float, level: int) -> None:
    words = sound(0.5, level, noise) + sound(0.6, 0, noise) + sound(0.8, level, noise)
    clock = fed(sound(1.0, 0, noise) + words + sound(1.0, 0, noise), frame_s)
    assert clock.voiced_until_s is not None
    assert clock.onset_s(clock.voiced_until_s) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize(
    ("before", "expected_s"),
    [
        (sound(0.02, 12_000) + bytes(32_000), 1.02),  # a click is no speech
        (sound(0.03, 12_000) + bytes(32_000), 0.0),  # but so short a sound may be
        (sound(0.5, 12_000) + bytes(64_000), 2.5),  # another sound, long before
        (sound(0.5, 12_000) + bytes(32_000), 0.0),  # a pause
    ],
    ids=["click", "syllable", "long ago", "pause"],
)
def test_beginning_of_speech_is_told_from_what_came_before(before: bytes, expected_s: float) -> None:
    clock = fed(before + sound(0.5, 12_000), 0.01)
    assert clock.onset_s(clock.position_s) == pytest.approx(expected_s)


@pytest.mark.parametrize(
    ("before_ended_s", "expected_s"),
    [
        (1.0, 2.0),  # as the sound has it
        (0.9, 2.0),  # what sounds on after the last word begins nothing
        (0.5, 0.5),  # the person spoke on at once
        (2.2, 2.2),  # so too
        (0.0, 0.0),
    ],
)
def test_beginning_of_speech_is_not_before_the_end_of_the_one_before(before_ended_s: float, expected_s: float) -> None:
    clock = fed(sound(1.0, 12_000) + sound(1.0, 0) + sound(1.0, 12_000))
    assert clock.onset_s(3.0, before_ended_s) == pytest.approx(expected_s)


def test_speech_that_was_not_loud_has_no_beginning() -> None:
    assert AudioClock().onset_s(1.0) is None
    assert fed(bytes(32_000)).onset_s(1.0) is None
    assert fed(bytes(32_000) + sound(0.5, 12_000)).onset_s(1.0) is None
    assert fed(sound(0.5, 12_000) + bytes(96_000)).onset_s(3.0) is None


def test_old_stretches_of_speech_are_forgotten() -> None:
    clock = fed((sound(0.05, 12_000) + bytes(9600)) * (KEPT_STRETCHES * 3))  # a stretch every 350 ms
    onset_s = clock.onset_s(clock.position_s)
    assert onset_s is not None
    assert KEPT_STRETCHES <= round((clock.position_s - onset_s) / 0.35) <= KEPT_STRETCHES * 2
    assert clock.onset_s(100.0) is None

"""The sound that the simulated voices make, and the ear that hears it."""

from __future__ import annotations

import io
import wave

import pytest

from tests.simulator.sounds import PCM, buzz, frames
from voicegw_sidecar.simulator.ear import Ear, SpeechEnded, SpeechStarted
from voicegw_sidecar.simulator.speech import compressed, silence, sound, wav_header
from voicegw_sidecar.wire.pcm import PcmFormat, levels

FORMATS = [
    PcmFormat(encoding, rate_hz, channels)
    for encoding in ("pcm_s16le", "pcm_f32le", "linear32", "pcm_mulaw", "pcm_alaw")
    for rate_hz in (8_000, 22_050, 24_000)
    for channels in (1, 2)
]


@pytest.mark.parametrize("pcm", FORMATS, ids=str)
def test_sound_lasts_as_asked_and_joins(pcm: PcmFormat) -> None:
    assert pcm.seconds(len(sound(pcm, 0.0, 0.25))) == pytest.approx(0.25, abs=0.001)
    assert sound(pcm, 0.5, 0.1) + sound(pcm, 0.6, 0.1) == sound(pcm, 0.5, 0.2)
    assert sound(pcm, 0.3, 0.1) == sound(pcm, 1.3, 0.1)


@pytest.mark.parametrize("encoding", ["pcm_s16le", "pcm_mulaw"])
def test_sound_is_never_silent_and_silence_is(encoding: str) -> None:
    pcm = PcmFormat(encoding, 16_000)
    assert min(levels(sound(pcm, 0.0, 1.0), pcm)) > 500
    assert max(levels(silence(pcm, 1.0), pcm)) <= 8


def test_companded_sound_follows_the_linear_one() -> None:
    linear, mulaw = PcmFormat("pcm_s16le", 16_000), PcmFormat("pcm_mulaw", 16_000)
    pairs = zip(levels(sound(linear, 0, 1.0), linear), levels(sound(mulaw, 0, 1.0), mulaw), strict=True)
    assert all(abs(one - other) <= one * 0.1 + 10 for one, other in pairs)


def test_compressed_sound_has_a_length() -> None:
    assert len(compressed(3.0, 0.5)) == 4_000
    assert compressed(0.0, 0.1) == compressed(0.0, 0.1)


def test_wav_header_can_be_read() -> None:
    with wave.open(io.BytesIO(wav_header(24_000) + b"\0\0")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)


@pytest.mark.parametrize("frame_s", [0.007, 0.02, 0.05, 0.16, 10.0])
def test_ear_finds_speech_whatever_the_frames(frame_s: float) -> None:
    ear = Ear(PCM, silence_s=0.2)
    heard = [event for index, frame in enumerate(frames(buzz(), frame_s)) for event in ear.hear(frame, index)]
    match heard:
        case [SpeechStarted(at_s=at_s), SpeechEnded(start_s=start_s, end_s=end_s, end_ns=index)]:
            assert at_s == start_s == pytest.approx(0.2, abs=0.02)
            assert end_s == pytest.approx(0.8, abs=0.02)
            assert index == pytest.approx(0.8 / frame_s, abs=2)
        case _:
            pytest.fail(str(heard))
    assert ear.audio_s == pytest.approx(1.3)
    assert ear.speaking_since_s is None
    assert ear.stop() is None


def test_a_click_is_not_speech() -> None:
    ear = Ear(PCM, silence_s=0.2)
    assert ear.hear(silence(PCM, 0.1) + sound(PCM, 0.0, 0.02) + silence(PCM, 1.0), 0) == []


def test_compressed_audio_is_not_understood() -> None:
    ear = Ear(None, silence_s=0.2)
    assert ear.hear(b"OggS", 0) == []
    assert ear.audio_s == 0.0

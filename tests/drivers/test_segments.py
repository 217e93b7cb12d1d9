"""Utterances cut out of a stream."""

from __future__ import annotations

import io
import wave

import pytest

from tests.simulator.sounds import spoken
from voicegw_sidecar.drivers.segments import Segmenter, Utterance, wav_file
from voicegw_sidecar.simulator.speech import silence, sound
from voicegw_sidecar.wire.pcm import PcmFormat
from voicegw_sidecar.wire.wav import wav_head, wav_seconds

PCM = PcmFormat("pcm_s16le", 16_000)


def fed(segmenter: Segmenter, audio: bytes, size_bytes: int = 1600) -> list[Utterance]:
    return [
        utterance
        for start in range(0, len(audio), size_bytes)
        for utterance in segmenter.feed(audio[start : start + size_bytes])
    ]


def quiet(length_s: float) -> bytes:
    return silence(PCM, length_s)


def loud(length_s: float) -> bytes:
    return sound(PCM, 0.0, length_s)


def places(utterances: list[Utterance]) -> list[tuple[float, float]]:
    """Where they begin and end, in seconds."""
    ends = [utterance.start_s + PCM.seconds(len(utterance.samples)) for utterance in utterances]
    return [(round(one.start_s, 3), round(end_s, 3)) for one, end_s in zip(utterances, ends, strict=True)]


@pytest.mark.parametrize("size_bytes", [2, 320, 1600, 4410, 1_000_000])
def test_speech_is_given_after_a_pause_with_some_silence_around_it(size_bytes: int) -> None:
    audio = quiet(1.0) + loud(0.6) + quiet(1.0) + loud(0.4) + quiet(0.6)
    found = fed(Segmenter(16_000), audio, size_bytes)
    assert places(found) == [(0.7, 1.8), (2.3, 3.2)]
    first_byte = round(0.7 * PCM.bytes_per_s)
    assert found[0].samples == audio[first_byte : first_byte + len(found[0].samples)]


@pytest.mark.parametrize("rate_hz", [8000, 22_050, 24_000, 48_000])
def test_places_do_not_drift_at_other_rates(rate_hz: int) -> None:
    pcm = PcmFormat("pcm_s16le", rate_hz)
    audio = silence(pcm, 1.0) + sound(pcm, 0.0, 0.6) + silence(pcm, 1.0)
    [utterance] = fed(Segmenter(rate_hz), audio)
    assert utterance.start_s == pytest.approx(0.7, abs=0.011)
    assert pcm.seconds(len(utterance.samples)) == pytest.approx(1.1, abs=0.011)
    first_byte = round(utterance.start_s * rate_hz) * 2
    assert utterance.samples == audio[first_byte : first_byte + len(utterance.samples)]


def test_a_pause_within_speech_and_a_click_end_and_begin_nothing() -> None:
    segmenter = Segmenter(16_000)
    assert places(fed(segmenter, loud(0.3) + quiet(0.45) + loud(0.3) + quiet(0.5))) == [(0.0, 1.25)]
    assert not segmenter.is_speaking
    assert fed(segmenter, quiet(0.5) + loud(0.02) + quiet(1.0)) == []
    # nor does a click hold up the end of speech
    assert places(fed(segmenter, loud(0.3) + quiet(0.4) + loud(0.02) + quiet(0.1)))[0][1] == pytest.approx(3.57)


def test_finalize_gives_what_there_is_and_the_stream_goes_on() -> None:
    segmenter = Segmenter(16_000)
    assert segmenter.finalize() is None
    assert fed(segmenter, quiet(1.0) + loud(0.5) + quiet(0.1)) == []
    assert segmenter.is_speaking
    first = segmenter.finalize()
    assert first is not None
    assert places([first]) == [(0.7, 1.6)]
    assert (segmenter.is_speaking, segmenter.finalize()) == (False, None)
    assert fed(segmenter, loud(0.5)) == []
    second = segmenter.finalize()
    assert second is not None
    assert places([second]) == [(1.6, 2.1)]


def test_long_speech_is_cut_where_it_is_quietest() -> None:
    segmenter = Segmenter(16_000)
    audio = loud(29.0) + quiet(0.03) + loud(1.97) + quiet(0.5)
    found = fed(segmenter, audio)
    assert places(found) == [(0.0, 29.01), (29.01, 31.2)]
    assert b"".join(one.samples for one in found) == audio[: len(audio) - len(quiet(0.3))]


def test_no_more_than_half_a_minute_is_held() -> None:
    segmenter = Segmenter(16_000)
    most_bytes = 0
    for second in range(100):
        segmenter.feed(sound(PCM, second, 1.0))
        most_bytes = max(most_bytes, len(segmenter._held))
    assert most_bytes <= 30 * PCM.bytes_per_s
    for _ in range(100):
        segmenter.feed(quiet(1.0))
    assert len(segmenter._held) == round(0.3 * PCM.bytes_per_s)


def test_noise_that_stays_is_soon_no_speech() -> None:
    noise = bytes([0, 3, 0, 253]) * 8000  # 1 s of ±768
    found = fed(Segmenter(16_000), noise * 6)
    assert len(found) == 1
    assert PCM.seconds(len(found[0].samples)) < 2.0


def test_a_spoken_sentence_is_one_utterance() -> None:
    [utterance] = fed(Segmenter(16_000), spoken("Where is my order, please", after_s=0.8))
    assert utterance.start_s == pytest.approx(0.0, abs=0.02)
    assert 1.0 < PCM.seconds(len(utterance.samples)) < 3.0


def test_a_wav_file_says_what_it_holds() -> None:
    file = wav_file(loud(0.5), 16_000)
    head = wav_head(file)
    assert head is not None
    assert (head.bytes_per_s, head.size_bytes, head.data_bytes) == (32_000, 44, 16_000)
    assert wav_seconds(file, len(file)) == 0.5
    with wave.open(io.BytesIO(file)) as read:
        assert (read.getframerate(), read.getnchannels(), read.getsampwidth()) == (16_000, 1, 2)
        assert read.readframes(8000) == loud(0.5)

"""Speech to speech: what the meter times, counts and estimates, from bare events."""

from __future__ import annotations

import pytest

from tests.meter.test_meter import run
from voicegw_sidecar.events import AudioOut, Began, Event, Failed, Final, Finished, Heard, SpeechEnded, Stopped, Used
from voicegw_sidecar.terms import FirstBasis, Mark, Modality, Status, Usage
from voicegw_sidecar.wire.pcm import PcmFormat

PCM = PcmFormat("pcm_s16le", 16_000)
SILENCE = Heard(bytes(3200), PCM)  # 100 ms
LOUD = Heard(b"\x00\x40\x00\xc0" * 800, PCM)
SPOKEN: list[tuple[int, Event]] = [(0, SILENCE), (100, LOUD), (200, LOUD), (300, SILENCE), (400, SILENCE)]
S2S, STT = Began(Modality.S2S, "r", "m"), Began(Modality.STT, "i", "t")
Timed = list[tuple[int, Event]]
USED = Usage(input_tokens=30, input_audio_tokens=10, output_tokens=9, output_audio_tokens=6)


def test_first_audio_is_timed_from_the_end_of_speech_that_the_provider_names() -> None:
    answer: Timed = [
        (450, S2S),
        (450, SpeechEnded(0.3, "r")),
        (700, AudioOut(0.5, "r")),
        (800, AudioOut(0.5, "r")),
        (900, Used(USED, "r")),
        (900, Finished("r")),
    ]
    [exchange] = run([*SPOKEN, *answer])
    assert (exchange.modality, exchange.status, exchange.estimated) == (Modality.S2S, Status.OK, False)
    assert (exchange.first_ms, exchange.first_ms_basis, exchange.total_ms) == (500.0, FirstBasis.PROVIDER, 450.0)
    assert (exchange.marks_ns[Mark.SPEECH_BEGAN], exchange.marks_ns[Mark.SPEECH_ENDED]) == (100 * 10**6, 200 * 10**6)
    assert (exchange.usage.input_tokens, exchange.usage.output_audio_tokens, exchange.usage.audio_out_s) == (30, 6, 1.0)


def test_end_of_speech_without_a_position_is_where_it_was_loud_last() -> None:
    [exchange] = run(
        [*SPOKEN, (450, S2S), (450, SpeechEnded(None, "r")), (700, AudioOut(0.5, "r")), (900, Finished("r"))]
    )
    assert (exchange.first_ms, exchange.first_ms_basis) == (500.0, FirstBasis.SOUND_LEVEL)


def test_answer_to_no_speech_has_no_first_ms() -> None:
    [exchange] = run([*SPOKEN, (450, S2S), (700, AudioOut(0.5, "r")), (900, Finished("r"))])
    assert (exchange.first_ms, exchange.first_ms_basis) == (None, None)


def test_quiet_after_an_answer_is_not_its_speech_once_more() -> None:
    first: Timed = [
        (450, S2S),
        (450, SpeechEnded(None, "r")),
        (700, AudioOut(0.5, "r")),
        (900, Finished("r")),
    ]
    second: Timed = [
        (1000, SILENCE),
        (1100, Began(Modality.S2S, "s", "m")),
        (1100, SpeechEnded(None, "s")),
        (1200, AudioOut(0.5, "s")),
        (1300, Finished("s")),
    ]
    exchanges = run([*SPOKEN, *first, *second])
    assert [exchange.first_ms for exchange in exchanges] == [500.0, None]
    assert [Mark.SPEECH_BEGAN in exchange.marks_ns for exchange in exchanges] == [True, False]


def test_transcript_beside_the_answer_is_an_exchange_of_its_own() -> None:
    events: Timed = [
        (410, STT),
        (410, SpeechEnded(0.3, "i")),
        (450, S2S),
        (450, SpeechEnded(0.3, "r")),
        (600, AudioOut(0.5, "r")),
        (650, Final("Hello", key="i")),
        (650, Used(Usage(audio_s=0.5), "i")),
        (650, Finished("i")),
        (900, Used(USED, "r")),
        (900, Finished("r")),
    ]
    transcript, answer = run([*SPOKEN, *events])
    assert (transcript.modality, transcript.first_ms, transcript.usage) == (Modality.STT, 450.0, Usage(audio_s=0.5))
    assert (answer.modality, answer.first_ms, answer.usage.input_tokens) == (Modality.S2S, 400.0, 30)


@pytest.mark.parametrize(
    ("last", "status", "estimated"),
    [
        ([Used(USED, "r"), Stopped("r")], Status.CANCELLED, False),
        ([Used(USED, "r"), Failed("e", "r")], Status.PARTIAL, False),
        ([Stopped("r")], Status.CANCELLED, True),
        ([], Status.CANCELLED, True),
    ],
)
def test_answer_that_broke_off_is_reported_or_estimated(last: list[Event], status: Status, estimated: bool) -> None:
    begun: Timed = [*SPOKEN, (450, S2S), (700, AudioOut(0.5, "r"))]
    [exchange] = run([*begun, *[(900, event) for event in last]], (1000, Status.CANCELLED))
    assert (exchange.status, exchange.estimated) == (status, estimated)
    if estimated:  # half a second of speech heard is 5 tokens, half a second answered 10
        assert exchange.usage == Usage(
            input_tokens=5, input_audio_tokens=5, output_tokens=10, output_audio_tokens=10, audio_out_s=0.5
        )
    else:
        assert exchange.usage.input_tokens == 30


def test_answer_that_never_sounded_costs_nothing() -> None:
    [exchange] = run([*SPOKEN, (450, S2S), (500, Failed("e", "r"))])
    assert (exchange.status, exchange.usage) == (Status.UPSTREAM_ERROR, Usage())

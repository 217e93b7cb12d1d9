"""Turns where no stream of speech is seen: uploads, recognition elsewhere, speech to speech; in milliseconds."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from tests.meter.test_turns import (
    AGAIN,
    CANCELLED,
    FAILED,
    IDLE,
    OK,
    PLAIN,
    exchange,
    llm,
    ns,
    only,
    parts,
    stt,
    tool,
    tts,
    upload,
)
from voicegw_sidecar.meter.turns import Timed, turns
from voicegw_sidecar.terms import Modality, Status


def s2s(
    began: float | None,
    ended: float | None,
    first: float | None,
    audio: float | None,
    status: Status = OK,
    at: float = 0,
) -> Timed:
    """A response: the speech it answers, its first audio, how long it plays."""
    started = at or ended or 0
    over = (first or started) + (audio or 0) / 5
    return exchange(
        Modality.S2S, status, started, over, speech_began=began, speech_ended=ended, first=first, audio=audio
    )


def test_upload_has_no_end_of_speech() -> None:
    first, second = turns([
        upload(1000, 1200), llm(1250, 1550, 2000), tts(1560, 1700, 1000),
        upload(5000, 5200), llm(5250, 5550, 6000), tts(5560, 5700, 1000), upload(8000, None, FAILED),
    ])  # fmt: skip
    assert parts(first) == parts(second) == (None, 300, 140, None, None)
    assert (first.speech_ended_ns, first.final_ns) == (None, ns(1200))


def test_without_recognition_each_chain_of_calls_that_is_spoken_is_a_turn() -> None:
    chain = (tool(1250, 1400, 1500), llm(2100, 2300, 2900), tts(2310, 2400, 1000), tts(2700, 2800, 1000))
    lost = (llm(3000, 3200, 3300, CANCELLED),)
    found = turns([*chain, *lost, *AGAIN[1:], llm(20_000, 20_100, 20_200)])
    assert [parts(turn) for turn in found] == [(None, 450, 90, None, None), (None, 300, 140, None, None)]
    assert [(turn.llm_calls, turn.abandoned) for turn in found] == [(2, 0), (2, 1)]


def test_without_recognition_what_is_said_before_any_content_is_a_filler() -> None:
    turn = only(llm(1250, 1550, 2000), tts(1300, 1400, 100), PLAIN[2])
    assert (parts(turn), turn.has_filler) == ((None, 300, 140, None, None), True)
    turn = only(tts(1000, 1100, 100), llm(1250, 1550, 2000), PLAIN[2])
    assert not turn.has_filler


def test_with_recognition_what_nobody_asked_for_is_never_a_turn() -> None:
    assert turns([*PLAIN[1:], stt(9000, None, None, IDLE)]) == []


def test_speech_to_speech_has_only_a_total() -> None:
    transcript = stt(0, 1000, 1900)
    first, second = turns([transcript, s2s(0, 1000, 1400, 2000), s2s(5000, 6000, 6300, 1000)])
    assert parts(first) == (None, None, None, None, 400)
    assert parts(second) == (None, None, None, None, 300)
    assert (first.speech_ended_ns, first.audio_ns, first.final_ns) == (ns(1000), ns(1400), None)


def test_function_call_of_a_response_is_told_by_the_next_one() -> None:
    turn = only(s2s(0, 1000, None, None), s2s(None, None, 2400, 1000, at=2000))
    assert (turn.total_ms, turn.llm_calls) == (1400, 2)
    turn = only(s2s(0, 1000, 1200, 900), s2s(None, None, 3400, 1000, at=3000))
    assert (turn.total_ms, turn.llm_calls) == (200, 2)


def test_response_given_up_as_the_person_spoke_on_is_only_counted() -> None:
    turn = only(s2s(0, 500, None, None, CANCELLED), s2s(700, 1000, 1400, 2000))
    assert (turn.total_ms, turn.llm_calls, turn.abandoned) == (400, 2, 1)
    assert turns([s2s(0, 500, None, None, CANCELLED)]) == []


def test_response_that_failed_is_a_turn_without_an_answer() -> None:
    first, _ = turns([s2s(0, 1000, None, None, FAILED), s2s(5000, 6000, 6300, 1000)])
    assert parts(first) == (None, None, None, None, None)


def test_responses_to_no_speech() -> None:
    greeting, still_there = s2s(None, None, -4000, 2000, at=-4500), s2s(None, None, 15_000, 2000, at=14_900)
    turn = only(greeting, s2s(0, 1000, 1400, 2000), still_there)
    assert (turn.total_ms, turn.llm_calls) == (400, 1)
    silent = [replace(one, speech_began_ns=None, speech_ended_ns=None) for one in (s2s(0, 1000, 1400, 900, at=1000),
              s2s(0, 2900, None, None, at=2900), s2s(0, 3000, 3400, 900, at=3000))]  # fmt: skip
    assert [(turn.total_ms, turn.llm_calls) for turn in turns(silent)] == [(None, 1), (None, 2)]


def test_response_is_interrupted_as_a_speech_is() -> None:
    first, second = turns([s2s(0, 1000, 1400, 6000), s2s(5000, 6000, 6300, 1000, CANCELLED)])
    assert (first.interrupted, first.unplayed_s) == (True, pytest.approx(2.4))
    assert (second.interrupted, second.unplayed_s) == (True, pytest.approx(0.8))

"""Turns from the times of exchanges: one conversation per rule and per case, in milliseconds."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from voicegw_sidecar.meter.turns import Timed, Turn, turns
from voicegw_sidecar.terms import NS_PER_MS, Modality, Status

START_MS = 1_790_000_000_000
OK, CANCELLED, IDLE, OPEN = Status.OK, Status.CANCELLED, Status.IDLE, Status.OPEN
FAILED, PARTIAL, REFUSED = Status.UPSTREAM_ERROR, Status.PARTIAL, Status.REFUSED
PARTS = ("stt_ms", "llm_ms", "tts_ms", "agent_ms", "total_ms")


def ns(at_ms: float | None) -> int | None:
    return None if at_ms is None else round((START_MS + at_ms) * NS_PER_MS)


def exchange(modality: Modality, status: Status, started: float, ended: float | None, **more: Any) -> Timed:
    moments = {f"{name}_ns": ns(at_ms) for name, at_ms in more.items() if name != "audio"}
    audio_ms = more.get("audio")
    return Timed(
        modality,
        status,
        ns(started) or 0,
        ns(ended),
        audio_out_s=None if audio_ms is None else audio_ms / 1000,
        **moments,
    )


def stt(began: float | None, ended: float | None, final: float | None, status: Status = OK) -> Timed:
    """An utterance of a stream: the speech from when to when, and its final transcript."""
    started = next((at for at in (began, ended, final) if at is not None), 0)
    return exchange(Modality.STT, status, started, final, speech_began=began, speech_ended=ended, first=final)


def upload(asked: float, final: float | None, status: Status = OK) -> Timed:
    return exchange(Modality.STT, status, asked, final, asked=asked, first=final)


def llm(asked: float | None, content: float | None, ended: float | None, status: Status = OK) -> Timed:
    """A call that answered with content."""
    started = asked if asked is not None else content or 0
    return exchange(Modality.LLM, status, started, ended, asked=asked, first=content, content=content)


def tool(asked: float, first: float, ended: float, status: Status = OK) -> Timed:
    """A call that only called tools."""
    return exchange(Modality.LLM, status, asked, ended, asked=asked, first=first)


def tts(
    text: float | None, first: float | None, audio: float | None, status: Status = OK, ended: float | None = None
) -> Timed:
    """A speech: its first text, its first audio, how long it plays; it comes five times as fast."""
    started = text if text is not None else first or 0
    if ended is None:
        ended = (first if first is not None else started) + (audio or 0) / 5
    return exchange(Modality.TTS, status, started, ended, asked=text, first=first, audio=audio)


def parts(turn: Turn) -> tuple[int | None, ...]:
    return tuple(getattr(turn, name) for name in PARTS)


def only(*exchanges: Timed) -> Turn:
    [turn] = turns(exchanges)
    return turn


HEARD = stt(0, 1000, 1200)
PLAIN = (HEARD, llm(1250, 1550, 2000), tts(1560, 1700, 3000))
AGAIN = (stt(6000, 7000, 7200), llm(7250, 7550, 8000), tts(7560, 7700, 2000))
PARTS_OF_PLAIN = (200, 300, 140, 60, 700)


# --- one turn ---------------------------------------------------------------------------------------------------------


def test_parts_of_a_plain_turn() -> None:
    turn = only(*PLAIN)
    assert parts(turn) == PARTS_OF_PLAIN  # the agent took 50 ms to ask, and 10 ms to send the first text
    assert (turn.interrupted, turn.llm_calls, turn.abandoned, turn.has_filler) == (False, 1, 0, False)
    assert (turn.speech_ended_ns, turn.final_ns, turn.asked_ns) == (ns(1000), ns(1200), ns(1250))
    assert (turn.token_ns, turn.text_ns, turn.audio_ns) == (ns(1550), ns(1560), ns(1700))


def test_turns_are_numbered_in_order() -> None:
    found = turns([*AGAIN, *PLAIN])
    assert [turn.index for turn in found] == [0, 1]
    assert [parts(turn) for turn in found] == [PARTS_OF_PLAIN] * 2


def test_moments_are_rounded_and_parts_are_their_differences() -> None:
    turn = only(stt(0, 1000.4, 1200.6), llm(1250.5, 1550.4, 2000), tts(1560.7, 1700.3, 3000))
    assert parts(turn) == (200, 300, 140, 60, 700)
    assert sum(part for part in parts(turn)[:4] if part is not None) == turn.total_ms


def test_several_speeches_are_one_answer() -> None:
    turn = only(*PLAIN[:2], tts(1560, 1700, 1000), tts(1600, 1650, 1000), tts(1900, 2000, 1000))
    assert parts(turn) == PARTS_OF_PLAIN  # of the first text, though the second one was quicker


def test_final_that_comes_after_the_answer_leaves_no_negative_part() -> None:
    turn = only(stt(0, 1000, 1900), llm(1050, 1350, 2000), tts(1360, 1500, 1000))
    assert parts(turn) == (500, 0, 0, 0, 500)


def test_final_after_the_first_token_leaves_nothing_to_the_llm() -> None:
    turn = only(stt(0, 1000, 1400), llm(1050, 1350, 2000), tts(1420, 1500, 1000))
    assert parts(turn) == (400, 0, 80, 20, 500)


@pytest.mark.parametrize(
    ("exchanges", "expected"),
    [
        ((stt(None, None, 1200), *PLAIN[1:]), (None, 300, 140, None, None)),
        ((stt(None, 1000, 1200), *PLAIN[1:]), PARTS_OF_PLAIN),
        ((HEARD, replace(PLAIN[1], asked_ns=None), PLAIN[2]), (200, None, 140, None, 700)),
        ((HEARD, llm(1250, None, 2000)), (200, None, None, None, None)),
        ((*PLAIN[:2], replace(PLAIN[2], asked_ns=None)), (200, 300, None, None, 700)),
        ((*PLAIN[:2], tts(1560, None, None)), (200, 300, None, None, None)),
        (PLAIN[:2], (200, 300, None, None, None)),
        ((stt(0, 1000, None), *PLAIN[1:]), None),
        (PLAIN[:1], None),
    ],
    ids=[
        "end of speech", "beginning of speech", "request", "token", "text", "audio", "speech", "transcript", "call",
    ],
)  # fmt: skip
def test_moment_that_was_not_seen(exchanges: tuple[Timed, ...], expected: tuple[int | None, ...] | None) -> None:
    assert [parts(turn) for turn in turns(exchanges)] == ([] if expected is None else [expected])


# --- one turn from several utterances ---------------------------------------------------------------------------------


def test_utterances_without_a_call_belong_to_the_next_turn() -> None:
    turn = only(stt(-4000, -3000, -2800), stt(-2000, -1000, -800), *PLAIN)
    assert parts(turn) == PARTS_OF_PLAIN
    assert turn.speech_ended_ns == ns(1000)


def test_call_given_up_as_the_person_spoke_on_is_only_counted() -> None:
    turn = only(stt(-2000, -1000, -800), llm(-790, -500, -100, CANCELLED), *PLAIN)
    assert parts(turn) == PARTS_OF_PLAIN
    assert (turn.llm_calls, turn.abandoned) == (2, 1)


def test_call_that_was_completed_and_thrown_away_is_only_counted() -> None:
    turn = only(stt(-2000, -1000, -800), llm(-790, -500, 1500), *PLAIN)
    assert parts(turn) == PARTS_OF_PLAIN
    assert (turn.llm_calls, turn.abandoned) == (2, 1)


def test_completed_call_is_an_answer_where_no_speech_is_seen() -> None:
    first, second = turns([*PLAIN[:2], *AGAIN[:2]])
    assert parts(first) == parts(second) == (200, 300, None, None, None)


@pytest.mark.parametrize(
    "rest",
    [
        (HEARD,),
        (HEARD, llm(1250, 1550, 1800, CANCELLED)),
        (stt(0, 1000, 1200, IDLE), llm(1250, 1550, 1800), tts(1560, 1700, 1000)),
        (stt(0, 1000, None, FAILED),),
    ],
    ids=["no call", "cancelled", "idle", "no transcript"],
)
def test_utterance_that_nobody_answered_is_no_turn(rest: tuple[Timed, ...]) -> None:
    assert turns(rest) == []


# --- calls made early -------------------------------------------------------------------------------------------------


def test_call_on_an_interim_transcript_that_is_used() -> None:
    turn = only(HEARD, llm(900, 1100, 2000), tts(1210, 1300, 1000))
    assert parts(turn) == (200, 0, 90, 10, 300)
    assert (turn.llm_calls, turn.abandoned) == (1, 0)


def test_calls_on_interim_transcripts_that_are_given_up() -> None:
    turn = only(PLAIN[0], llm(500, 700, 800, CANCELLED), llm(900, 1100, 1240, CANCELLED), *PLAIN[1:])
    assert parts(turn) == PARTS_OF_PLAIN
    assert (turn.llm_calls, turn.abandoned) == (3, 2)


def test_early_call_that_completed_before_it_was_given_up_costs_no_time() -> None:
    turn = only(PLAIN[0], llm(500, 700, 1100), *PLAIN[1:])
    assert parts(turn) == PARTS_OF_PLAIN
    assert (turn.llm_calls, turn.abandoned) == (2, 0)


def test_call_while_the_person_speaks_again_may_still_be_about_what_was_said_before() -> None:
    """The person cuts into a tool round: its second call is asked for, and spoken, while they speak."""
    announced = (
        HEARD,
        llm(1250, 1550, 1600),
        tts(1560, 1700, 1000),
        llm(3500, 3700, 4200),
        tts(3710, 3800, 3000, CANCELLED),
    )
    cut_in = (stt(3400, 4100, 4300), llm(4310, 4500, 5000), tts(4510, 4600, 1000))
    first, second = turns([*announced, *cut_in])
    assert (first.llm_calls, first.interrupted) == (2, True)
    assert (second.llm_calls, parts(second)) == (1, (200, 190, 90, 20, 500))


def test_tool_round_while_the_person_speaks_again_goes_with_the_call_it_led_to() -> None:
    rounds = (HEARD, tool(1250, 1400, 1500), tool(2000, 2200, 2300), llm(2400, 2600, 3000), tts(2610, 2700, 3000))
    cut_in = (stt(1900, 3500, 3700), llm(3800, 4000, 4100), tts(4010, 4100, 1000))
    first, second = turns([*rounds, *cut_in])
    assert (first.llm_calls, first.total_ms, first.interrupted) == (3, 1700, True)
    assert (second.llm_calls, second.total_ms) == (1, 600)


# --- tool rounds and fillers ------------------------------------------------------------------------------------------


def test_tool_round_counts_whole_and_the_tool_is_the_agents_time() -> None:
    turn = only(HEARD, tool(1250, 1400, 1500), llm(2100, 2300, 2900), tts(2310, 2400, 1000))
    assert parts(turn) == (200, 250 + 200, 90, 50 + 600 + 10, 1400)
    assert (turn.llm_calls, turn.abandoned) == (2, 0)
    assert (turn.asked_ns, turn.token_ns) == (ns(2100), ns(2300))


def test_two_tool_rounds_with_a_filler() -> None:
    filler = tts(1520, 1600, 800)
    turn = only(
        HEARD, tool(1250, 1400, 1500), filler, tool(2100, 2200, 2400), llm(3000, 3200, 3900), tts(3210, 3300, 900)
    )
    assert parts(turn) == (200, 250 + 300 + 200, 90, 50 + 600 + 600 + 10, 2300)
    assert (turn.llm_calls, turn.has_filler, turn.audio_ns) == (3, True, ns(3300))


@pytest.mark.parametrize("at", [1210, 1300], ids=["before the request", "before the content"])
def test_filler_in_a_later_turn_is_no_part_of_the_answer_before(at: float) -> None:
    filler = tts(6000 + at, 6000 + at + 80, 500)
    first, second = turns([*PLAIN, AGAIN[0], filler, *AGAIN[1:]])
    assert [parts(turn) for turn in (first, second)] == [PARTS_OF_PLAIN] * 2
    assert [turn.has_filler for turn in (first, second)] == [False, True]


def test_filler_for_half_a_sentence_stays_with_the_turn() -> None:
    half = (stt(6000, 6300, 6500), llm(6510, 6900, 6920, CANCELLED), tts(6600, 6700, 300))
    whole = (stt(6800, 7500, 7700), llm(7710, 8000, 8300), tts(8010, 8100, 1000))
    first, second = turns([*PLAIN, *half, *whole])
    assert (first.has_filler, first.interrupted) == (False, False)
    assert (second.has_filler, second.llm_calls, second.abandoned, second.total_ms) == (True, 2, 1, 600)


def test_rounds_at_once_count_no_stretch_twice() -> None:
    turn = only(HEARD, tool(1250, 1300, 1500), tool(1260, 1300, 1600), llm(1700, 1900, 2900), tts(1910, 2000, 1000))
    assert turn.llm_ms == (1600 - 1250) + (1900 - 1700)


def test_content_before_a_tool_call_is_the_answer() -> None:
    turn = only(HEARD, llm(1250, 1550, 1700), tts(1560, 1700, 900), llm(3000, 3200, 3500), tts(3210, 3300, 900))
    assert parts(turn) == PARTS_OF_PLAIN
    assert turn.llm_calls == 2


def test_where_no_call_has_content_the_first_token_has_to_do() -> None:
    turn = only(HEARD, tool(1250, 1550, 2000), PLAIN[2])
    assert parts(turn) == PARTS_OF_PLAIN


# --- interruptions ----------------------------------------------------------------------------------------------------


def test_speech_that_was_cancelled_was_interrupted() -> None:
    first, second = turns([*PLAIN[:2], tts(1560, 1700, 2000, CANCELLED, ended=2400), *AGAIN])
    assert (first.interrupted, second.interrupted) == (True, False)
    assert first.unplayed_s == pytest.approx(1.3)
    assert parts(first) == PARTS_OF_PLAIN


def test_speech_that_was_all_there_was_interrupted_where_the_person_spoke_into_it() -> None:
    first, _ = turns([*PLAIN[:2], tts(1560, 1700, 5000), *AGAIN])
    assert (first.interrupted, first.unplayed_s) == (True, pytest.approx(0.7))
    first, _ = turns([*PLAIN[:2], tts(1560, 1700, 4300), *AGAIN])
    assert (first.interrupted, first.unplayed_s) == (False, 0.0)


def test_speeches_play_one_after_the_other() -> None:
    first, _ = turns([*PLAIN[:2], tts(1560, 1700, 3000), tts(1800, 1900, 2000), *AGAIN])
    assert (first.interrupted, first.unplayed_s) == (True, pytest.approx(0.7))
    first, _ = turns([HEARD, tts(1210, 1300, 400), *PLAIN[1:2], tts(1560, 1650, 4500), *AGAIN])
    assert (first.has_filler, first.interrupted, first.unplayed_s) == (True, True, pytest.approx(0.2))


def test_speech_cancelled_long_after_it_was_heard_was_only_not_closed() -> None:
    first, _ = turns([*PLAIN[:2], tts(1560, 1700, 2000, CANCELLED, ended=7200), *AGAIN])
    assert not first.interrupted
    first, _ = turns([*PLAIN[:2], tts(1560, 1700, 2000, CANCELLED, ended=4000), *AGAIN])
    assert first.interrupted


def test_where_the_length_is_not_known_the_cancelling_tells() -> None:
    first, _ = turns([*PLAIN[:2], tts(1560, 1700, None, CANCELLED, ended=7200), *AGAIN])
    assert first.interrupted
    first, _ = turns([*PLAIN[:2], tts(1560, 1700, None), *AGAIN])
    assert not first.interrupted


@pytest.mark.parametrize(("ended", "is_cut"), [(3000, True), (4600, True), (4700, False), (9000, False)])
def test_session_that_ends_within_the_answer(ended: float, is_cut: bool) -> None:
    turn = only(*PLAIN[:2], tts(1560, 1700, 3000, CANCELLED, ended=ended))
    assert turn.interrupted is is_cut
    assert parts(turn) == PARTS_OF_PLAIN


def test_speech_that_was_cancelled_before_it_sounded() -> None:
    turn = only(*PLAIN[:2], tts(1560, None, None, CANCELLED, ended=1600))
    assert (turn.interrupted, turn.unplayed_s, turn.total_ms) == (True, 0.0, None)


def test_yes_while_the_agent_speaks_is_no_turn_and_no_interruption() -> None:
    backchannel = stt(2000, 2200, 2400)
    first, second = turns([*PLAIN, tts(2600, 2700, 500), backchannel, *AGAIN])
    assert (first.interrupted, parts(first)) == (False, PARTS_OF_PLAIN)
    assert parts(second) == PARTS_OF_PLAIN


def test_yes_that_made_the_agent_think_for_a_moment_takes_no_speech_from_the_answer() -> None:
    backchannel = (stt(2000, 2200, 2400), llm(2410, 2600, 2650, CANCELLED))
    late = tts(2800, 2900, 3500)  # the last sentence; the person speaks into it
    first, second = turns([*PLAIN, *backchannel, late, *AGAIN])
    assert (first.interrupted, first.unplayed_s) == (True, pytest.approx(0.5 + 1.7))
    assert (second.llm_calls, second.abandoned) == (2, 1)


def test_text_may_still_be_sent_as_its_call_is_cancelled() -> None:
    turn = only(HEARD, llm(1250, 1500, 1550, CANCELLED), PLAIN[2])
    assert (turn.total_ms, turn.llm_calls, turn.abandoned) == (700, 1, 0)


def test_own_words_after_an_answer_was_cut_off_are_no_part_of_the_one_before() -> None:
    cut = (stt(6000, 7000, 7200), llm(7250, 7550, 8000, CANCELLED), tts(7560, 7700, 2000, CANCELLED, ended=8000))
    first, second = turns([*PLAIN, *cut, tts(8500, 8600, 900)])
    assert (first.interrupted, first.total_ms) == (False, 700)
    assert (second.interrupted, second.total_ms, second.has_filler) == (True, 700, True)


def test_sentence_that_is_sent_while_an_early_call_runs_is_still_of_the_answer() -> None:
    early = (stt(5000, 7000, 7200), llm(6000, 6900, 7000, CANCELLED), llm(7250, 7550, 8000), tts(7560, 7700, 2000))
    first, second = turns([*PLAIN, tts(6500, 6600, 1000), *early])
    assert (first.interrupted, first.unplayed_s) == (True, pytest.approx(1.0))
    assert (second.has_filler, second.llm_calls, second.abandoned) == (False, 2, 1)


# --- what the agent says by itself ------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(), (llm(-4500, -4200, -4000),)], ids=["fixed", "from the LLM"])
def test_greeting_is_no_turn(words: tuple[Timed, ...]) -> None:
    turn = only(*words, tts(-4000, -3900, 2000), *PLAIN)
    assert (parts(turn), turn.llm_calls, turn.has_filler) == (PARTS_OF_PLAIN, 1, False)
    assert turns([*words, tts(-4000, -3900, 2000), stt(9000, None, None, IDLE)]) == []


@pytest.mark.parametrize("words", [(), (llm(14_000, 14_300, 14_400),)], ids=["fixed", "from the LLM"])
@pytest.mark.parametrize("between", [(), (stt(4000, 4200, 4400),)], ids=["silence", "a yes"])
def test_are_you_still_there_is_no_turn(words: tuple[Timed, ...], between: tuple[Timed, ...]) -> None:
    prompt = tts(14_400, 14_500, 5000, CANCELLED, ended=15_000)
    answered = (stt(14_900, 15_500, 15_700), llm(15_750, 16_050, 16_500), tts(16_060, 16_200, 2000))
    first, second = turns([*PLAIN, *between, *words, prompt, *answered])
    assert (parts(first), first.llm_calls, first.interrupted) == (PARTS_OF_PLAIN, 1, False)
    assert (parts(second), second.llm_calls) == (PARTS_OF_PLAIN, 1)


def test_agent_that_was_heard_a_moment_ago_is_still_answering() -> None:
    long = (*PLAIN, tts(1800, 1900, 3000))  # heard until 7700
    turn = only(*long, tts(12_000, 12_100, 1000, CANCELLED, ended=12_200))
    assert turn.interrupted
    turn = only(*long, tts(12_800, 12_900, 1000, CANCELLED, ended=13_000))
    assert not turn.interrupted


def test_long_call_is_not_silence() -> None:
    late = (llm(2000, 2100, 9000), llm(10_500, 10_700, 10_900), tts(10_710, 10_800, 500))
    assert only(*PLAIN, *late).llm_calls == 3
    assert only(*PLAIN, *late[1:]).llm_calls == 1
    assert only(*PLAIN, llm(9600, 9700, 9900), tts(9650, 9750, 500)).llm_calls == 2


def test_agent_that_is_slow_to_ask_is_still_answering() -> None:
    turn = only(HEARD, tts(1210, 1300, 500), llm(9000, 9300, 9500), tts(9310, 9400, 1000))
    assert (parts(turn), turn.has_filler) == ((200, 300, 90, 7810, 8400), True)


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [FAILED, REFUSED, Status.DEGRADED, Status.INTERRUPTED])
def test_call_that_failed_makes_a_turn_without_an_answer(status: Status) -> None:
    failed, second = turns([HEARD, llm(1250, None, 1400, status), *AGAIN])
    assert parts(failed) == (200, None, None, None, None)
    assert (failed.llm_calls, failed.abandoned, failed.interrupted) == (1, 0, False)
    assert parts(second) == PARTS_OF_PLAIN


def test_call_that_broke_off_makes_a_turn_too() -> None:
    broken, _ = turns([HEARD, llm(1250, 1550, 1600, PARTIAL), *AGAIN])
    assert parts(broken) == (200, 300, None, None, None)


def test_time_of_a_call_that_failed_and_was_repeated_is_the_providers() -> None:
    turn = only(HEARD, llm(1250, None, 1500, FAILED), llm(1600, 1900, 2300), tts(1910, 2050, 1000))
    assert parts(turn) == (200, 250 + 300, 140, 50 + 100 + 10, 1050)
    assert (turn.llm_calls, turn.abandoned) == (2, 0)


def test_speech_that_failed_and_was_repeated_counts_from_its_first_text() -> None:
    turn = only(*PLAIN[:2], tts(1560, None, None, FAILED), tts(1700, 1800, 1000))
    assert parts(turn) == (200, 300, 240, 60, 800)


def test_call_that_still_runs_is_a_turn_in_progress() -> None:
    turn = only(HEARD, llm(1250, 1550, None, OPEN))
    assert parts(turn) == (200, 300, None, None, None)


def test_nothing_gives_no_turns() -> None:
    assert turns([]) == []
    assert turns([exchange(None, OK, 0, 1)]) == []  # type: ignore[arg-type]

"""The figures of a session, from its turns and exchanges; in milliseconds."""

from __future__ import annotations

from tests.meter.test_turns import AGAIN, CANCELLED, HEARD, IDLE, PLAIN, llm, stt, tts
from tests.meter.test_turns_unheard import s2s
from voicegw_sidecar.meter.turns import Figures, Timed, summary, turns


def figures(*exchanges: Timed) -> Figures:
    return summary(turns(exchanges), exchanges)


def test_budget_used_is_the_median_of_the_turns_that_were_not_interrupted() -> None:
    slower = (stt(12_000, 13_000, 13_200), llm(13_250, 13_550, 14_000), tts(13_800, 14_001, 1000))
    assert figures(*PLAIN).budget_ms_used == 700.0
    assert figures(*PLAIN, *AGAIN, *slower).budget_ms_used == 700.0
    assert figures(*PLAIN, *slower).budget_ms_used == 850.5
    cut = (*PLAIN[:2], tts(1560, 1700, 3000, CANCELLED, ended=2000))
    assert figures(*cut, *slower).budget_ms_used == 1001.0
    assert figures(*cut).budget_ms_used is None
    assert (figures(*cut, *slower).turns, figures(*cut, *slower).interruptions) == (2, 1)


def test_talk_of_the_person_is_the_speech_whose_both_ends_are_known() -> None:
    assert figures(*PLAIN, stt(2000, 2250, 2300), stt(None, 9000, 9100)).user_talk_s == 1.25
    assert figures(stt(None, 1000, 1200), *PLAIN[1:]).user_talk_s is None
    assert figures(*PLAIN, stt(5000, 6000, None, IDLE)).user_talk_s == 1.0


def test_talk_of_the_agent_is_what_was_heard_of_it() -> None:
    greeting = tts(-4000, -3900, 1500)
    assert figures(greeting, *PLAIN).agent_talk_s == 4.5
    assert figures(*PLAIN[:2], tts(1560, 1700, 5000), *AGAIN).agent_talk_s == 4.3 + 2.0
    assert figures(*PLAIN[:2], tts(1560, 1700, None)).agent_talk_s is None
    assert figures(HEARD).agent_talk_s is None


def test_figures_of_speech_to_speech() -> None:
    told = figures(stt(0, 1000, 1900), s2s(0, 1000, 1400, 6000), s2s(5000, 6000, 6300, 1000))
    assert (told.turns, told.interruptions, told.budget_ms_used) == (2, 1, 300.0)
    assert (told.user_talk_s, told.agent_talk_s) == (2.0, 3.6 + 1.0)


def test_figures_of_nothing() -> None:
    assert figures() == Figures(0, 0, None, None, None)

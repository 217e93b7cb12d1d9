"""Turns of made-up conversations: of plausible ones the truth is known, and none whatever breaks the arithmetic."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from tests.meter.test_turns import CANCELLED, OK, llm, ns, parts, stt, tool, tts
from voicegw_sidecar.meter.turns import Timed, Turn, summary, turns
from voicegw_sidecar.terms import Modality, Status


class Truth(Struct, frozen=True):
    """What a turn was made of."""

    parts: tuple[int, ...]
    interrupted: bool
    llm_calls: int
    abandoned: int
    has_filler: bool


class Conversation:
    """A conversation as an agent of today holds it, made up in order; times are milliseconds."""

    def __init__(self, seed: int, turn_count: int) -> None:
        self.exchanges: list[Timed] = []
        self.truth: list[Truth] = []
        self._random = random.Random(seed)
        self._quiet = 0  # until then the agent is heard
        self._next_began = 0
        self._given_up = 0  # calls for a "yes", which the next turn counts
        if self._chance(0.5):
            self._speak_up()
        self._next_began = self._quiet + self._some(300, 2000)
        self._is_cut_in = False
        for number in range(turn_count):
            self._turn(is_last=number == turn_count - 1)

    def _some(self, least: int, most: int) -> int:
        return self._random.randint(least, most)

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def _speak_up(self) -> None:
        """A greeting, or "are you still there?", in fixed words or the model's."""
        text = self._quiet + self._some(5200, 9000)
        if self._chance(0.5):
            self.exchanges.append(llm(text, text + 200, text + 400))
            text += 210
        self._say(text, self._some(500, 2000))

    def _say(self, text: int, length: int, status: Status = OK, ended: int | None = None) -> int:
        """Speak; returns when its first audio came."""
        first = text + self._some(50, 300)
        self.exchanges.append(tts(text, first, length, status, ended=ended))
        self._quiet = max(self._quiet, first) + length
        return first

    def _turn(self, *, is_last: bool) -> None:
        abandoned, self._given_up = self._given_up + self._half_sentences(), 0
        began, ended = self._next_began, self._next_began + self._some(200, 3000)
        final = ended + self._some(30, 600)
        self.exchanges.append(stt(began, ended, final))
        self._quiet = 0  # whoever is cut off is silent
        calls, waited = 1 + abandoned, 0
        has_filler = self._chance(0.2)
        if has_filler:
            self._say(final + self._some(1, 40), self._some(200, 900))
        now = final + self._some(41, 400)
        for _ in range(self._random.choice([0, 0, 0, 1, 2])):
            first = now + self._some(50, 400)
            over = first + self._some(0, 500)
            self.exchanges.append(tool(now, first, over))
            calls, waited = calls + 1, waited + over - now
            if self._chance(0.3):
                has_filler = True
                self._say(over + 5, self._some(200, 900))
            now = over + self._some(10, 1500)
        asked, content = now, now + self._some(50, 900)
        text = content + self._some(0, 200)
        audio, cancelled_at = self._answer(text, is_last=is_last)
        if cancelled_at is not None and self._chance(0.5):
            self.exchanges.append(llm(asked, content, cancelled_at, CANCELLED))
        else:
            self.exchanges.append(llm(asked, content, text + self._some(0, 50)))
        made_of = (final - ended, waited + content - asked, audio - text)
        total = audio - ended
        self.truth.append(Truth((*made_of, total - sum(made_of), total), self._is_cut_in, calls, abandoned, has_filler))

    def _half_sentences(self) -> int:
        """The person pauses within a sentence; returns how many calls the agent made and gave up."""
        abandoned = 0
        for _ in range(0 if self._is_cut_in else self._random.choice([0, 0, 1, 2])):
            ended = self._next_began + self._some(200, 2000)
            final = ended + self._some(30, 300)
            self.exchanges.append(stt(self._next_began, ended, final))
            self._next_began = final + self._some(50, 900)
            if self._chance(0.6):
                asked, content = final + 5, final + self._some(10, 300)
                is_complete = content < self._next_began and self._chance(0.5)
                over = min(content + 40, self._next_began) if is_complete else self._next_began + 100
                self.exchanges.append(llm(asked, content, over, OK if is_complete else CANCELLED))
                abandoned += 1
        return abandoned

    def _answer(self, text: int, *, is_last: bool) -> tuple[int, int | None]:
        """Speak some sentences; returns when the first was heard first, and when the agent cancelled the last."""
        audio = self._say(text, self._some(700, 4000))
        cut_at = self._quiet - self._some(150, 600)
        self._is_cut_in = not is_last and self._chance(0.3)
        is_cancelled = self._is_cut_in and self._chance(0.5)
        if self._chance(0.3):  # "yes", and the agent goes on
            yes = audio + self._some(1, 100)
            self.exchanges.append(stt(yes, yes + 80, yes + 200))
            is_apart = not yes + 200 < cut_at < yes + 260  # text sent in this very moment would seem to be its answer
            if is_apart and self._chance(0.3):
                self.exchanges.append(llm(yes + 201, yes + 210, yes + 220, CANCELLED))
                self._given_up += 1
                self._say(yes + 300, 500)
        for number in range(self._some(0, 3)):
            if not self._is_cut_in:
                self._say(max(text + number * 40, cut_at), self._some(300, 2000))
        if is_cancelled:
            self._say(cut_at, 2000, CANCELLED, ended=cut_at + 250)
        self._next_began = cut_at + 100 if self._is_cut_in else self._quiet + self._some(50, 4000)
        if not self._is_cut_in and not is_last and self._chance(0.2):
            self._speak_up()
            self._next_began = self._quiet + self._some(100, 900)
        return audio, cut_at + 250 if is_cancelled else None


def told(turn: Turn) -> tuple[object, ...]:
    return parts(turn), turn.interrupted, turn.llm_calls, turn.abandoned, turn.has_filler


@pytest.mark.parametrize("seed", range(300))
def test_turns_of_a_plausible_conversation_are_as_they_were_made(seed: int) -> None:
    talk = Conversation(seed, turn_count=8)
    exchanges = list(talk.exchanges)
    random.Random(seed).shuffle(exchanges)
    found = turns(exchanges)
    assert [told(turn) for turn in found] == [
        (one.parts, one.interrupted, one.llm_calls, one.abandoned, one.has_filler) for one in talk.truth
    ]
    figures = summary(found, exchanges)
    assert (figures.turns, figures.interruptions) == (8, sum(one.interrupted for one in talk.truth))


moments = st.one_of(st.none(), st.integers(0, 40).map(lambda at: (ns(at * 250) or 0) + at * 333_333))
seconds = st.one_of(st.none(), st.floats(-1, 20), st.sampled_from([float("inf"), float("nan"), 1e300]))
anything = st.builds(
    Timed,
    modality=st.sampled_from([Modality.STT, Modality.LLM, Modality.TTS, Modality.LLM, Modality.TTS, None]),
    status=st.sampled_from([Status.OK, Status.OK, Status.CANCELLED, *Status]),
    started_ns=moments.map(lambda at: at or 0),
    ended_ns=moments,
    asked_ns=moments,
    first_ns=moments,
    content_ns=moments,
    speech_began_ns=moments,
    speech_ended_ns=moments,
    audio_out_s=seconds,
)
responses = st.builds(
    Timed,
    modality=st.sampled_from([Modality.S2S, Modality.S2S, Modality.STT]),
    status=st.sampled_from(list(Status)),
    started_ns=moments.map(lambda at: at or 0),
    ended_ns=moments,
    first_ns=moments,
    speech_began_ns=moments,
    speech_ended_ns=moments,
    audio_out_s=seconds,
)


@settings(deadline=None)
@given(exchanges=st.one_of(st.lists(anything, max_size=30), st.lists(responses, max_size=10)), order=st.randoms())
def test_whatever_the_times_are_parts_sum_and_none_is_negative(exchanges: list[Timed], order: random.Random) -> None:
    found = turns(exchanges)
    assert [turn.index for turn in found] == list(range(len(found)))
    for turn in found:
        known = [part for part in parts(turn) if part is not None]
        assert all(part >= 0 for part in known)
        assert (turn.agent_ms is not None) == (len(known) == 5)
        if turn.agent_ms is not None:
            assert sum(known[:4]) == turn.total_ms
        elif turn.total_ms is not None:
            assert sum(known[:-1]) <= turn.total_ms
        assert turn.abandoned <= turn.llm_calls
        assert turn.unplayed_s >= 0
        assert turn.interrupted or turn.unplayed_s == 0
    figures = summary(found, exchanges)
    assert (figures.turns, figures.interruptions) == (len(found), sum(turn.interrupted for turn in found))
    shuffled = list(exchanges)
    order.shuffle(shuffled)
    assert turns(shuffled) == found
    assert summary(found, shuffled) == figures

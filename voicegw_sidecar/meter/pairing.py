"""Who answers whom: which utterance an LLM call answers, and which call is said by which speech synthesis.

Told from the order of times alone, never from texts. What the agent says without being spoken to is left out: a
greeting, "are you still there?".
"""

from __future__ import annotations

import heapq
import itertools
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from msgspec import Struct

from voicegw_sidecar.meter.timed import Timed
from voicegw_sidecar.terms import NS_PER_MS, NS_PER_S, Status

_SILENCE_NS = 5 * NS_PER_S  # an agent that was quiet for so long after its answer speaks up by itself
_LAST_WORDS_NS = 20 * NS_PER_MS  # text may still be under way when its call is cancelled


class Call(Struct):
    """An LLM call. ``content_ns`` is from when it can be spoken; ``said_ns`` when text of it was first sent to TTS."""

    exchange: Timed
    content_ns: int | None
    utterance: int = -1
    """The index of the utterance it answers; -1 where there was none yet."""
    said_ns: int | None = None
    is_said: bool = False
    is_unprompted: bool = False

    @property
    def is_cancelled(self) -> bool:
        """True where the agent gave it up."""
        return self.exchange.status is Status.CANCELLED


class Utterance(Struct):
    """What a person said, and all that was done about it. ``began_ns`` is the best that is known of its beginning."""

    began_ns: int
    exchange: Timed | None = None
    calls: list[Call] = []
    answers: list[tuple[Timed, Call]] = []
    """The speech that answers it, and the call that each exchange says."""
    fillers: list[Timed] = []

    @property
    def is_taken_up(self) -> bool:
        """True where a call was made for it and not given up."""
        return any(not call.is_cancelled for call in self.calls)

    @property
    def is_spoken_to(self) -> bool:
        """True where text of a call for it was sent to be spoken, whatever became of the call."""
        return any(call.said_ns is not None for call in self.calls)


class _Saying(Struct):
    """A speech synthesis, the call that its text is likely from, and the call that the agent was waiting for."""

    voice: Timed
    call: Call | None
    awaited: Call | None


def pair(heard: Iterable[Timed], asked: Sequence[Timed], voiced: Sequence[Timed]) -> list[Utterance]:
    """Return the utterances in order, with what answers them; ``asked`` and ``voiced`` come in order."""
    utterances = sorted((_utterance(exchange) for exchange in heard), key=lambda utterance: utterance.began_ns)
    calls = _calls(asked)
    sayings = _sayings(calls, voiced)
    _place(calls, utterances)
    _mark_unprompted(calls, sayings, utterances)
    for call in calls:
        if not call.is_unprompted:
            utterances[call.utterance].calls.append(call)
    _hand_out(sayings, utterances)
    return utterances


def pair_unheard(asked: Sequence[Timed], voiced: Sequence[Timed]) -> list[Utterance]:
    """Return what was answered where recognition is not seen: one entry for the calls up to each that was said."""
    calls = _calls(asked)
    sayings = _sayings(calls, voiced)
    chains: list[Utterance] = []
    for call in calls:
        if not chains or chains[-1].calls[-1].said_ns is not None:
            chains.append(Utterance(call.exchange.at_ns))
        call.utterance = len(chains) - 1
        chains[-1].calls.append(call)
    _hand_out(sayings, chains)
    return [chain for chain in chains if chain.answers]


def _utterance(exchange: Timed) -> Utterance:
    moments = (exchange.speech_began_ns, exchange.speech_ended_ns, exchange.asked_ns, exchange.first_ns)
    return Utterance(next(moment for moment in moments if moment is not None), exchange)


def _calls(asked: Sequence[Timed]) -> list[Call]:
    """Content tells what can be spoken. Where no call of the session has any, the first token has to do."""
    is_told = any(exchange.content_ns is not None for exchange in asked)
    return [Call(exchange, exchange.content_ns if is_told else exchange.first_ns) for exchange in asked]


def _sayings(calls: Sequence[Call], voiced: Sequence[Timed]) -> list[_Saying]:
    """Find for each speech the latest content before its text: an agent speaks what it was told last."""
    contents = _Latest((call.content_ns, _given_up_ns(call), call) for call in calls if call.content_ns is not None)
    requests = _Latest((call.exchange.at_ns, _awaited_until_ns(call), call) for call in calls)
    sayings = []
    for voice in voiced:
        call = contents.at(voice.at_ns)
        sayings.append(_Saying(voice, call, requests.at(voice.at_ns)))
        if call is not None and call.said_ns is None:
            call.said_ns = voice.at_ns
    return sayings


def _given_up_ns(call: Call) -> float:
    ended_ns = call.exchange.ended_ns
    return math.inf if ended_ns is None or not call.is_cancelled else ended_ns + _LAST_WORDS_NS


def _awaited_until_ns(call: Call) -> float:
    ends = (call.content_ns, call.exchange.ended_ns)
    return min((end_ns for end_ns in ends if end_ns is not None), default=math.inf)


def _place(calls: Sequence[Call], utterances: Sequence[Utterance]) -> None:
    """Give each call the last utterance that began before it was asked for, or the one before that."""
    began_ns = [utterance.began_ns for utterance in utterances]
    following: Call | None = None
    for call in reversed(calls):
        index = bisect_right(began_ns, call.exchange.at_ns) - 1
        if index >= 0 and _is_of_earlier(call, index, utterances[index], following):
            index -= 1
        call.utterance = index
        following = call


def _is_of_earlier(call: Call, index: int, utterance: Utterance, following: Call | None) -> bool:
    """Say whether a call that was asked for while the person spoke is still about what was said before.

    It is if it was spoken before the person was through: nobody answers half a sentence aloud. So is a tool round
    that led to such a call. Any other is about what is being said, on an interim transcript.
    """
    ended_ns = None if utterance.exchange is None else utterance.exchange.speech_ended_ns
    if ended_ns is None or ended_ns <= call.exchange.at_ns:
        return False
    if call.said_ns is not None:
        return call.said_ns < ended_ns
    is_round = call.content_ns is None and call.exchange.status is Status.OK
    return is_round and following is not None and following.utterance < index


def _mark_unprompted(calls: Sequence[Call], sayings: Sequence[_Saying], utterances: Sequence[Utterance]) -> None:
    """Find the calls that answer nobody: before anything was said, or long after all of it was answered."""
    over_ns = _over_ns(sayings)
    times_ns = [saying.voice.at_ns for saying in sayings]
    answered_ns: dict[int, int] = {}
    busy_ns = 0
    for call in calls:
        at_ns = call.exchange.at_ns
        if call.utterance < 0:
            call.is_unprompted = True
            continue
        utterance = utterances[call.utterance]
        final_ns = recognised_ns(utterance)
        was_said_ns = over_ns[bisect_left(times_ns, final_ns)]  # until then an earlier answer was heard
        quiet_ns = max(over_ns[bisect_left(times_ns, at_ns)], final_ns, busy_ns)
        is_over = answered_ns.get(call.utterance, at_ns) < at_ns or utterance.began_ns < was_said_ns
        call.is_unprompted = is_over and at_ns > quiet_ns + _SILENCE_NS
        if call.said_ns is not None and not call.is_unprompted:
            answered_ns[call.utterance] = min(call.said_ns, answered_ns.get(call.utterance, call.said_ns))
        busy_ns = max(busy_ns, call.exchange.ended_ns or at_ns)


def _over_ns(sayings: Sequence[_Saying]) -> list[int]:
    """Return until when the agent was heard: before any speech, after the first, after the second…"""
    over_ns = [0]
    for before, saying in zip([None, *sayings], sayings, strict=False):
        is_same = before is not None and before.call is saying.call
        first_ns = saying.voice.first_ns
        if first_ns is None:
            over_ns.append(over_ns[-1])
        else:
            over_ns.append((max(first_ns, over_ns[-1]) if is_same else first_ns) + saying.voice.audio_ns)
    return over_ns


def recognised_ns(utterance: Utterance) -> int:
    """Return when the final transcript of an utterance came."""
    final_ns = None if utterance.exchange is None else utterance.exchange.first_ns
    return utterance.began_ns if final_ns is None else final_ns


def _hand_out(sayings: Sequence[_Saying], utterances: Sequence[Utterance]) -> None:
    """Give every speech to the utterance it answers, or while whose answer is awaited it is a filler."""
    known = _Known(utterances)
    for saying, over_ns in zip(sayings, _over_ns(sayings), strict=False):
        call, voice = saying.call, saying.voice
        newest = known.newest(saying)
        if call is not None and call.utterance >= newest:
            quiet_ns = max(over_ns, call.exchange.ended_ns or 0)
            is_late = call.is_said and voice.at_ns > quiet_ns + _SILENCE_NS
            if not call.is_unprompted and not is_late:
                utterances[call.utterance].answers.append((voice, call))
                call.is_said = True
        elif newest >= 0:
            utterances[newest].fillers.append(voice)


class _Known:
    """What an agent knew of the utterances when it spoke."""

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        heard = [utterance for utterance in utterances if utterance.exchange is not None]
        finals = sorted((recognised_ns(utterance), index) for index, utterance in enumerate(heard))
        taken_up = itertools.accumulate(
            (index if utterance.is_taken_up or utterance.is_spoken_to else -1 for index, utterance in enumerate(heard)),
            max,
        )
        self._taken_up = list(taken_up)
        self._finals_ns = [final_ns for final_ns, _ in finals]
        self._latest = list(itertools.accumulate((index for _, index in finals), max))

    def newest(self, saying: _Saying) -> int:
        """Return the newest utterance that was recognised by then and that the agent did something about.

        A "yes" while it speaks on is not: no call was made for it, or only one that was given up by then. Where no
        utterance is seen at all, what was awaited tells, unless there was something to be said already.
        """
        place = bisect_right(self._finals_ns, saying.voice.at_ns) - 1
        awaited = -1 if saying.awaited is None or saying.awaited.is_unprompted else saying.awaited.utterance
        if place < 0:
            return awaited if not self._finals_ns and saying.call is None else -1
        recognised = self._latest[place]
        return max(self._taken_up[recognised], awaited if awaited <= recognised else -1)


class _Latest:
    """The latest of what has come and not gone, asked for at ascending times."""

    def __init__(self, spans: Iterable[tuple[int, float, Call]]) -> None:
        ordered = sorted(spans, key=lambda span: span[0])
        self._coming = [(-from_ns, -place, until_ns, call) for place, (from_ns, until_ns, call) in enumerate(ordered)]
        self._next = 0
        self._here: list[tuple[int, int, float, Call]] = []

    def at(self, now_ns: int) -> Call | None:
        """Return the call that came last before ``now_ns`` and has not gone."""
        while self._next < len(self._coming) and -self._coming[self._next][0] <= now_ns:
            heapq.heappush(self._here, self._coming[self._next])
            self._next += 1
        while self._here and self._here[0][2] <= now_ns:
            heapq.heappop(self._here)
        return self._here[0][3] if self._here else None

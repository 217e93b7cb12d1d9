"""Turns: what a person said and what the agent answered, told from the times of a session's exchanges.

Pure: no clock, no texts. A turn is one utterance or several, the LLM calls made for them and the speech that answers
the last one. Interruptions, calls made too early and given up, tool rounds and fillers are normal and recognised.
docs/measuring.md says the same in words, and what cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from statistics import median

from msgspec.structs import asdict, replace

from voicegw_sidecar.meter import s2s_turns
from voicegw_sidecar.meter.pairing import Call, Utterance, pair, pair_unheard, recognised_ns
from voicegw_sidecar.meter.parts import Moments, interruption, parts_of
from voicegw_sidecar.meter.timed import Figures, Timed, Turn, in_order
from voicegw_sidecar.terms import NS_PER_S, Modality, Status

__all__ = ["Figures", "Timed", "Turn", "summary", "turns"]

_FAILED = frozenset({
    Status.UPSTREAM_ERROR, Status.PARTIAL, Status.REFUSED, Status.DEGRADED, Status.INTERRUPTED,
})  # fmt: skip
_DIGITS = 3  # of a second


def turns(exchanges: Iterable[Timed]) -> list[Turn]:
    """Return the turns of one session in order; the same ones for any order of its exchanges."""
    ordered = in_order(exchanges)
    by_modality = {modality: [one for one in ordered if one.modality is modality] for modality in Modality}
    asked, voiced = by_modality[Modality.LLM], by_modality[Modality.TTS]
    if by_modality[Modality.S2S]:
        found = s2s_turns.turns(by_modality[Modality.S2S])
    elif by_modality[Modality.STT]:
        heard = [one for one in by_modality[Modality.STT] if _is_utterance(one)]
        found = _turns(pair(heard, asked, voiced), is_voiced=bool(voiced))
    else:
        found = _turns(pair_unheard(asked, voiced), is_voiced=True)
    return [replace(turn, index=index) for index, turn in enumerate(found)]


def summary(found: Sequence[Turn], exchanges: Iterable[Timed]) -> Figures:
    """Return the figures of a session from its turns and exchanges."""
    known = in_order(exchanges)
    totals_ms = [turn.total_ms for turn in found if turn.total_ms is not None and not turn.interrupted]
    is_s2s = any(exchange.modality is Modality.S2S for exchange in known)
    heard = [one for one in known if (one.modality is Modality.S2S if is_s2s else _is_utterance(one))]
    spoken_ns = [
        max(0, one.speech_ended_ns - one.speech_began_ns)
        for one in heard
        if one.speech_began_ns is not None and one.speech_ended_ns is not None
    ]
    voiced = [one for one in known if one.modality in (Modality.TTS, Modality.S2S) and one.audio_out_s is not None]
    said_s = sum(one.audio_ns for one in voiced) / NS_PER_S - sum(turn.unplayed_s for turn in found)
    return Figures(
        turns=len(found),
        interruptions=sum(turn.interrupted for turn in found),
        budget_ms_used=float(median(totals_ms)) if totals_ms else None,
        user_talk_s=round(sum(spoken_ns) / NS_PER_S, _DIGITS) if spoken_ns else None,
        agent_talk_s=round(max(0.0, said_s), _DIGITS) if voiced else None,
    )


def _is_utterance(exchange: Timed) -> bool:
    is_heard = exchange.modality is Modality.STT and exchange.status is not Status.IDLE
    return is_heard and exchange.first_ns is not None


def _turns(utterances: Sequence[Utterance], *, is_voiced: bool) -> list[Turn]:
    """Join utterances to turns: a person who pauses within a sentence is answered once.

    ``is_voiced`` says that the session's speech is seen: then a call that nobody heard was thrown away.
    """
    found: list[Turn] = []
    waiting: list[Utterance] = []
    last_called = max((index for index, utterance in enumerate(utterances) if utterance.calls), default=-1)
    for index, utterance in enumerate(utterances):
        waiting.append(utterance)
        if _closes(utterance, is_last=index >= last_called, is_voiced=is_voiced):
            found.append(_turn(waiting, _following(utterances, index)))
            waiting = []
    return found


def _closes(utterance: Utterance, *, is_last: bool, is_voiced: bool) -> bool:
    """Say whether the agent answered an utterance, or failed to, so that what follows is another turn."""
    if utterance.answers or any(call.exchange.status in _FAILED for call in utterance.calls):
        return True
    return utterance.is_taken_up and (is_last or not is_voiced)


def _following(utterances: Sequence[Utterance], index: int) -> Utterance | None:
    """Return the next utterance that the agent turned to: a "yes" over which it spoke on cuts nobody off."""
    answers = utterances[index].answers
    last_text_ns = answers[-1][0].at_ns if answers else 0
    for later in range(index + 1, len(utterances)):
        utterance = utterances[later]
        is_spoken_over = not (utterance.answers or utterance.is_taken_up) and recognised_ns(utterance) <= last_text_ns
        if utterance.calls and not is_spoken_over:
            return utterance
    return None


def _turn(utterances: Sequence[Utterance], following: Utterance | None) -> Turn:
    last = utterances[-1]
    moments = _moments(last)
    unplayed_s = _unplayed_s(utterances, following) if last.answers else None
    earlier_calls = sum(len(one.calls) for one in utterances[:-1])
    given_up = [call for call in last.calls if call.is_cancelled and not call.is_said]
    return Turn(
        index=0,
        **asdict(parts_of(moments)),
        interrupted=unplayed_s is not None,
        llm_calls=earlier_calls + len(last.calls),
        abandoned=earlier_calls + len(given_up),
        has_filler=any(one.fillers for one in utterances),
        speech_ended_ns=moments.ended_ns,
        final_ns=moments.final_ns,
        asked_ns=moments.asked_ns,
        token_ns=moments.token_ns,
        text_ns=moments.text_ns,
        audio_ns=moments.audio_ns,
        unplayed_s=unplayed_s or 0.0,
    )


def _unplayed_s(utterances: Sequence[Utterance], following: Utterance | None) -> float | None:
    """Return the seconds that were not played as the person cut in, or None; a filler holds up the answer's audio."""
    answers = [voice for voice, _ in utterances[-1].answers]
    fillers = (voice for one in utterances for voice in one.fillers if voice.at_ns < answers[-1].at_ns)
    next_began_ns = None if following is None or following.exchange is None else following.exchange.speech_began_ns
    return interruption(in_order([*fillers, *answers]), next_began_ns, is_last=following is None)


def _moments(utterance: Utterance) -> Moments:
    """Return the moments of the answer to an utterance; without one, those of its last call."""
    heard = utterance.exchange
    call = utterance.answers[0][1] if utterance.answers else _last_kept(utterance.calls)
    voices = [voice for voice, _ in utterance.answers]
    return Moments(
        ended_ns=None if heard is None else heard.speech_ended_ns,
        final_ns=None if heard is None else heard.first_ns,
        asked_ns=None if call is None else call.exchange.asked_ns,
        token_ns=None if call is None else call.exchange.first_ns if call.content_ns is None else call.content_ns,
        text_ns=voices[0].asked_ns if voices else None,
        audio_ns=next((voice.first_ns for voice in voices if voice.first_ns is not None), None),
        waits_ns=() if call is None else _waits_ns(utterance.calls, call),
    )


def _last_kept(calls: Sequence[Call]) -> Call | None:
    return next((call for call in reversed(calls) if not call.is_cancelled), None)


def _waits_ns(calls: Sequence[Call], answering: Call) -> tuple[tuple[int, int], ...]:
    """Return when the agent waited for other calls: of a tool call it needs all, of one that failed it gets none."""
    return tuple(
        (call.exchange.at_ns, call.exchange.ended_ns)
        for call in takewhile(lambda call: call is not answering, calls)
        if not call.is_cancelled and call.exchange.ended_ns is not None
    )

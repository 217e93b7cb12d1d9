"""The parts of a turn in whole milliseconds, and what was heard of its answer.

Moments are rounded, relative to where the turn begins, and parts are differences of them: so they sum exactly. Each
moment is held between the one before and the first audio: so none is negative, whatever order they were seen in.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from voicegw_sidecar.meter.timed import Timed, playout
from voicegw_sidecar.terms import NS_PER_MS, NS_PER_S, Status

_LEFT_NS = NS_PER_S  # a speech that was over for so long when it was cancelled had only not been closed


class Moments(Struct, frozen=True):
    """The moments of a turn; ``waits_ns`` are the LLM calls before the answering one that the agent waited for."""

    ended_ns: int | None = None
    final_ns: int | None = None
    asked_ns: int | None = None
    token_ns: int | None = None
    text_ns: int | None = None
    audio_ns: int | None = None
    waits_ns: tuple[tuple[int, int], ...] = ()


class Parts(Struct, frozen=True):
    """The parts of a turn; a part whose ends were not both seen is None."""

    stt_ms: int | None = None
    llm_ms: int | None = None
    tts_ms: int | None = None
    agent_ms: int | None = None
    total_ms: int | None = None


def parts_of(moments: Moments) -> Parts:
    """Return the parts of a turn."""
    line = _Line(moments)
    is_heard = moments.ended_ns is not None and moments.final_ns is not None
    total_ms = line.last_ms if moments.ended_ns is not None else None
    final_ms = line.place(moments.final_ns)
    asked_ms = line.place(moments.asked_ns)
    token_ms = line.place(moments.token_ns)
    text_ms = line.place(moments.text_ns)
    stt_ms = final_ms if is_heard else None
    llm_ms = None
    if moments.asked_ns is not None and moments.token_ns is not None:
        waits = [(line.within(start_ns, final_ms, token_ms), line.within(end_ns, final_ms, token_ms))
                 for start_ns, end_ns in moments.waits_ns]  # fmt: skip
        llm_ms = _covered_ms([*waits, (asked_ms, token_ms)])
    tts_ms = None if moments.text_ns is None or line.last_ms is None else line.last_ms - text_ms
    known = (stt_ms, llm_ms, tts_ms)
    agent_ms = None
    if total_ms is not None and None not in known:
        agent_ms = total_ms - sum(part_ms for part_ms in known if part_ms is not None)
    return Parts(stt_ms, llm_ms, tts_ms, agent_ms, total_ms)


class _Line:
    """Whole milliseconds since the turn began; places moments one after the other."""

    def __init__(self, moments: Moments) -> None:
        starts = (moments.ended_ns, moments.final_ns, *(start_ns for start_ns, _ in moments.waits_ns))
        ends = (moments.asked_ns, moments.token_ns, moments.text_ns, moments.audio_ns)
        self._origin_ns = next((moment for moment in (*starts, *ends) if moment is not None), 0)
        self.last_ms = None if moments.audio_ns is None else max(self._ms(moments.audio_ns), 0)
        self._reached_ms = 0

    def place(self, moment_ns: int | None) -> int:
        """Place the next moment; one that was not seen is where the one before is."""
        if moment_ns is not None:
            self._reached_ms = max(self._ms(moment_ns), self._reached_ms)
            if self.last_ms is not None:
                self._reached_ms = min(self._reached_ms, self.last_ms)
        return self._reached_ms

    def within(self, moment_ns: int, first_ms: int, last_ms: int) -> int:
        """Place a moment between two that are placed."""
        return min(max(self._ms(moment_ns), first_ms), last_ms)

    def _ms(self, moment_ns: int) -> int:
        return (moment_ns - self._origin_ns + NS_PER_MS // 2) // NS_PER_MS


def _covered_ms(stretches: Sequence[tuple[int, int]]) -> int:
    """Return how long at least one of the stretches lasted."""
    covered_ms, until_ms = 0, -1
    for start_ms, end_ms in sorted(stretches):
        covered_ms += max(0, end_ms - max(start_ms, until_ms))
        until_ms = max(until_ms, end_ms)
    return covered_ms


def interruption(voices: Sequence[Timed], next_began_ns: int | None, *, is_last: bool) -> float | None:
    """Return the seconds of a turn's audio that were not played as the person cut in; None if nobody did.

    ``voices`` are the speeches of the turn in order, one at least, the answer's last. A person cuts in who begins to
    speak while it plays, or because of whom the agent cancels it; a speech that had been played when it was cancelled
    was only not closed before. ``is_last`` says that no turn follows: the session's end cancels too.
    """
    spans = playout(voices)
    over_ns = max((until_ns for _, until_ns in spans), default=None)
    if over_ns is not None and next_began_ns is not None and next_began_ns < over_ns:
        return _unplayed_s(spans, next_began_ns)
    last = voices[-1]
    if last.status is not Status.CANCELLED:
        return None
    is_known = over_ns is not None and last.first_ns is not None and last.audio_out_s is not None
    if is_known and last.ended_ns is not None and (over_ns or 0) + (0 if is_last else _LEFT_NS) <= last.ended_ns:
        return None
    return 0.0 if last.ended_ns is None else _unplayed_s(spans, last.ended_ns)


def _unplayed_s(spans: Sequence[tuple[int, int]], cut_ns: int) -> float:
    return sum(max(0, until_ns - max(start_ns, cut_ns)) for start_ns, until_ns in spans) / NS_PER_S

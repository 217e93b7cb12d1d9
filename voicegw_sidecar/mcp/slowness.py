"""Why a session was slow, from what was measured of it. Pure: no sentence without its figures, no guess.

Compared are the turns with the latency budget, the parts of turns with what was predicted when the session began and
with what the project observes, and the exchanges with how they should have ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from statistics import median

from msgspec import Struct

from voicegw_sidecar.mcp.told import PARTS, Day, Exchange, Observation, Session, Turn
from voicegw_sidecar.mcp.untrusted import in_text
from voicegw_sidecar.terms import FAILED

_LISTED = 10
"""So many turns or exchanges are named one by one; of the rest there is the number."""


class Verdict(StrEnum):
    """What can be said in a word."""

    SLOW = "slow"
    NOT_SLOW = "not_slow"
    UNKNOWN = "unknown"


class SlowTurn(Struct, frozen=True):
    """A turn over the latency budget. ``part`` is the one that took most, of those that are known."""

    index: int
    total_ms: int
    over_ms: int
    part: str | None
    part_ms: int | None
    over_predicted_ms: int | None


class PartFigures(Struct, frozen=True):
    """One part over all turns in which it is known, beside what was predicted and what the project observes."""

    part: str
    provider: str | None
    median_ms: float | None
    turns: int
    unknown_turns: int
    predicted_ms: float | None
    over_predicted_ms: float | None
    observed_p50_ms: float | None
    observed_p95_ms: float | None
    observed_samples: int | None


class Analysis(Struct, frozen=True):
    """The whole answer; ``sentences`` says it in words."""

    verdict: Verdict
    sentences: list[str]
    slow_turns: list[SlowTurn]
    parts: list[PartFigures]
    failed_exchanges: int
    stand_in_exchanges: int


def analyse(
    session: Session, exchanges: Sequence[Exchange], observations: Sequence[Observation], day: Day | None
) -> Analysis:
    """Say why a session was slow, that it was not, or that it cannot be told."""
    exchanges = sorted(exchanges, key=lambda one: one.started_at)
    slow = [_slow_turn(session, turn) for turn in session.turns if (turn.total_ms or 0) > session.budget_ms]
    parts = [_part_figures(session, part, observations) for part in PARTS]
    failed = [one for one in exchanges if one.status in FAILED]
    stand_ins = [one for one in exchanges if _is_stand_in(session, one)]
    known = [turn.total_ms for turn in session.turns if turn.total_ms is not None]
    verdict = Verdict.SLOW if slow else Verdict.NOT_SLOW if known else Verdict.UNKNOWN
    sentences = [
        *_of_turns(session, slow, known),
        *_of_parts(session, slow, parts),
        *_of_the_pick(session),
        *_of_failures(exchanges, failed),
        *_of_calls(session.turns),
        *_of_stand_ins(session, stand_ins, day),
        *_of_the_unknown(session),
    ]
    return Analysis(verdict, sentences, slow, parts, len(failed), len(stand_ins))


def _slow_turn(session: Session, turn: Turn) -> SlowTurn:
    known = [(took_ms, part) for part in PARTS if (took_ms := turn.part_ms(part)) is not None]
    part_ms, part = max(known, key=lambda one: one[0]) if known else (None, None)
    predicted_ms = None if part is None else _predicted_ms(session, part)
    over_ms = None if part_ms is None or predicted_ms is None else round(part_ms - predicted_ms)
    total_ms = turn.total_ms or 0
    return SlowTurn(turn.index, total_ms, total_ms - session.budget_ms, part, part_ms, over_ms)


def _predicted_ms(session: Session, part: str) -> float | None:
    leg = session.route.get(part)
    return None if leg is None else leg.predicted_ms


def _part_figures(session: Session, part: str, observations: Sequence[Observation]) -> PartFigures:
    took_ms = [found for turn in session.turns if (found := turn.part_ms(part)) is not None]
    middle_ms = median(took_ms) if took_ms else None
    predicted_ms, seen = _predicted_ms(session, part), _observed(session, part, observations)
    leg = session.route.get(part)
    return PartFigures(
        part, None if leg is None else leg.provider, middle_ms, len(took_ms), len(session.turns) - len(took_ms),
        predicted_ms, None if middle_ms is None or predicted_ms is None else round(middle_ms - predicted_ms, 3),
        None if seen is None else seen.p50_ms, None if seen is None else seen.p95_ms,
        None if seen is None else seen.sample_count,
    )  # fmt: skip


def _observed(session: Session, part: str, observations: Sequence[Observation]) -> Observation | None:
    """Return what the project observes of a leg: of its model, else of all the provider's models together."""
    leg = session.route.get(part)
    if leg is None:
        return None
    of_provider = [one for one in observations if (one.modality, one.provider) == (part, leg.provider)]
    for model in dict.fromkeys((leg.model, None)):
        for one in of_provider:
            if one.model == model:
                return one
    return None


def _is_stand_in(session: Session, exchange: Exchange) -> bool:
    leg = session.route.get(exchange.modality or "")
    was_picked = leg is not None and leg.predicted_ms is not None
    return was_picked and leg is not None and exchange.cost_source == "local" and exchange.provider != leg.provider


def _of_turns(session: Session, slow: Sequence[SlowTurn], known: Sequence[int]) -> Iterator[str]:
    if session.ended_at is None:
        yield "The session is still open: its figures are as they stand."
    if not session.turns:
        yield "The session has no turns, so nothing can be told of how long one took."
    elif not known:
        yield f"The total of {_turns(len(session.turns))} is unknown, so whether one was slow cannot be told."
    elif not slow:
        yield (
            f"Nothing was slow: of {_turns(len(known))} whose total is known none took longer than the latency "
            f"budget of {session.budget_ms} ms; the longest took {max(known)} ms, the median {median(known):.0f} ms."
        )
    else:
        told = "; ".join(_slow_words(one) for one in slow[:_LISTED])
        rest = f"; and {len(slow) - _LISTED} more" if len(slow) > _LISTED else ""
        yield (
            f"Of {_turns(len(known))} whose total is known {len(slow)} took longer than the latency budget of "
            f"{session.budget_ms} ms: {told}{rest}."
        )


def _slow_words(one: SlowTurn) -> str:
    most = "its parts are unknown" if one.part is None else f"most of it {one.part} with {one.part_ms} ms"
    return f"turn {one.index} took {one.total_ms} ms, {one.over_ms} ms too long, {most}"


def _of_parts(session: Session, slow: Sequence[SlowTurn], parts: Sequence[PartFigures]) -> Iterator[str]:
    counted = Counter(one.part for one in slow if one.part is not None)
    for part, count in counted.most_common():
        figures = next(one for one in parts if one.part == part)
        yield (
            f"In {count} of {_turns(len(slow))} over the budget {part} took most; its median over the session is "
            f"{_part_words(figures)}."
        )
        yield from _against_observed(figures)
    if slow and all(leg is None or leg.predicted_ms is None for leg in session.route.values()):
        yield "Nothing was predicted when the session began: no route was asked for."


def _part_words(figures: PartFigures) -> str:
    words = f"{figures.median_ms:.0f} ms in {_turns(figures.turns)}"
    if figures.part == "agent":
        return f"{words}, the agent's own time before, between and after the three providers"
    of = "" if figures.provider is None else f" of {in_text(figures.provider, 'provider')}"
    if figures.predicted_ms is None or figures.over_predicted_ms is None:
        return f"{words}; what was predicted{of} is unknown"
    over_ms = round(figures.over_predicted_ms)
    how = f"{abs(over_ms)} ms {'more' if over_ms > 0 else 'less'} than" if over_ms else "which is"
    return f"{words}, {how} the {figures.predicted_ms:.0f} ms predicted{of}"


def _against_observed(figures: PartFigures) -> Iterator[str]:
    if figures.part == "agent" or figures.median_ms is None:
        return
    p50_ms, p95_ms = figures.observed_p50_ms, figures.observed_p95_ms
    if p50_ms is None or p95_ms is None:
        yield f"What the project observes of this {figures.part} is unknown: the last roll-up has no figures of it."
        return
    is_above_p95, is_above_p50 = figures.median_ms > p95_ms, figures.median_ms > p50_ms
    place = "above the p95" if is_above_p95 else "above the p50" if is_above_p50 else "not above the p50"
    yield (
        f"The project observes p50 {p50_ms:.0f} ms and p95 {p95_ms:.0f} ms of this {figures.part} "
        f"({figures.observed_samples} samples): {figures.median_ms:.0f} ms is {place}."
    )


def _of_the_pick(session: Session) -> Iterator[str]:
    if session.budget_overrun and session.predicted_ms is not None:
        yield (
            f"The route did not fit when it was picked: {session.predicted_ms:.0f} ms were predicted, "
            f"{session.predicted_ms - session.budget_ms:.0f} ms more than the budget of {session.budget_ms} ms."
        )


def _of_failures(exchanges: Sequence[Exchange], failed: Sequence[Exchange]) -> Iterator[str]:
    if not failed:
        return
    told = "; ".join(_failure_words(one, exchanges) for one in failed[:_LISTED])
    rest = f"; and {len(failed) - _LISTED} more" if len(failed) > _LISTED else ""
    yield f"Of {_counted(len(exchanges), 'exchange')} {len(failed)} failed: {told}{rest}."


def _failure_words(failure: Exchange, exchanges: Sequence[Exchange]) -> str:
    modality = in_text(failure.modality, "modality")
    words = f"{modality} of {in_text(failure.provider, 'provider')} {in_text(failure.status, 'status')}"
    words += "" if failure.http_status is None else f" with HTTP status {failure.http_status}"
    words += "" if failure.error is None else f", error {in_text(failure.error)}"
    later = [one for one in exchanges if one.modality == failure.modality and one.started_at > failure.started_at]
    if not later:
        return f"{words}, not followed by another"
    gap_ms = _between_ms(failure.started_at, later[0].started_at)
    return f"{words}, followed by another {modality} exchange after {in_text(gap_ms)} ms"


def _between_ms(first: str, second: str) -> int | None:
    try:
        return round((datetime.fromisoformat(second) - datetime.fromisoformat(first)).total_seconds() * 1000)
    except (ValueError, TypeError):
        return None


def _of_calls(turns: Iterable[Turn]) -> Iterator[str]:
    many = [turn for turn in turns if turn.llm_calls > 1]
    if many:
        told = ", ".join(f"turn {turn.index} with {turn.llm_calls}" for turn in many[:_LISTED])
        abandoned = sum(turn.abandoned for turn in many)
        yield (
            f"More than one LLM exchange, for a tool, a repeat or one made ahead, was in {_turns(len(many))}: {told}; "
            f"given up of these: {abandoned}."
        )


def _of_stand_ins(session: Session, stand_ins: Sequence[Exchange], day: Day | None) -> Iterator[str]:
    counted = Counter((one.modality or "", one.provider) for one in stand_ins)
    for (modality, provider), count in counted.items():
        leg = session.route.get(modality)
        picked = in_text(None if leg is None else leg.provider, "provider")
        yield (
            f"Served by the local provider {in_text(provider, 'provider')}, where {picked} was picked: "
            f"{_counted(count, in_text(modality, 'modality') + ' exchange')}."
        )
    if stand_ins and day is not None:
        yield (
            f"The project's budget action is {in_text(day.budget_action, 'budget_action')}; "
            f"its budget is {in_text(day.budget_status, 'budget_status')} now."
        )


def _of_the_unknown(session: Session) -> Iterator[str]:
    for part in (*PARTS, "total"):
        unseen = [turn.index for turn in session.turns if turn.part_ms(part) is None]
        if unseen and session.turns:
            which = ", ".join(map(str, unseen[:_LISTED])) + (" and more" if len(unseen) > _LISTED else "")
            of = f"{len(unseen)} of {_turns(len(session.turns))}, {which}"
            yield f"{part} is unknown in {of}: a mark of it was not seen."


def _turns(number: int) -> str:
    return _counted(number, "turn")


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"

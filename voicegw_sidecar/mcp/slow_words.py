"""What was found of a slow session, in sentences. Pure: every figure in them is one of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from statistics import median

from voicegw_sidecar.mcp.slow_figures import Found, Observed, PartFigures, SlowTurn, called, is_called
from voicegw_sidecar.mcp.told import PARTS, Exchange, Session
from voicegw_sidecar.mcp.untrusted import in_text

_LISTED = 10
"""So many turns or exchanges are named one by one; of the rest there is the number."""


def sentences(found: Found) -> Iterator[str]:
    """Yield what can be said, the turns first."""
    yield from _of_turns(found)
    yield from _of_parts(found)
    yield from _of_the_pick(found.session)
    yield from _of_failures(found)
    yield from _of_calls(found.session)
    yield from _of_stand_ins(found)
    yield from _of_the_unknown(found)


def _of_turns(found: Found) -> Iterator[str]:
    session, known, slow = found.session, found.known_ms, found.slow
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
    over = " and ".join(f"{part.part} by {part.over_ms} ms" for part in one.over_predicted)
    longer = f", longer than predicted {over}" if over else ""
    return f"turn {one.index} took {one.total_ms} ms, {one.over_ms} ms too long, {most}{longer}"


def _of_parts(found: Found) -> Iterator[str]:
    for one in sorted(found.parts, key=lambda one: -one.most_in_slow_turns):
        counts = {"most": one.most_in_slow_turns, "longer than predicted": one.over_predicted_in_slow_turns}
        took = " and ".join(f"{how} in {count}" for how, count in counts.items() if count)
        if took:
            yield f"Of {_turns(len(found.slow))} over the budget {one.part} took {took}."
        is_elsewhere = found.slow and one.is_provider_called is False
        if one.median_ms is None or not (took or is_elsewhere):
            continue
        yield f"The median of {one.part} over the session is {_part_words(one)}."
        if found.is_project_there:
            yield from _against_observed(one)
    if found.slow and all(leg is None or leg.predicted_ms is None for leg in found.session.route.values()):
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
    uncalled = "" if figures.is_provider_called else ", which was not called"
    return f"{words}, {how} the {figures.predicted_ms:.0f} ms predicted{of}{uncalled}"


def _against_observed(figures: PartFigures) -> Iterator[str]:
    if figures.part == "agent" or figures.median_ms is None:
        return
    if not figures.observed:
        yield f"What the project observes of this {figures.part} is unknown: the last roll-up has no figures of it."
    for one in figures.observed[:_LISTED]:
        is_above_p95, is_above_p50 = figures.median_ms > one.p95_ms, figures.median_ms > one.p50_ms
        place = "above the p95" if is_above_p95 else "above the p50" if is_above_p50 else "not above the p50"
        yield (
            f"The project observes p50 {one.p50_ms:.0f} ms and p95 {one.p95_ms:.0f} ms of {figures.part} by "
            f"{_whose(one)} ({one.samples} samples): {figures.median_ms:.0f} ms is {place}."
        )


def _whose(one: Observed) -> str:
    provider = in_text(one.provider, "provider")
    return f"all models of {provider}" if one.is_of_all_models else f"{provider}'s {in_text(one.model, 'model')}"


def _of_the_pick(session: Session) -> Iterator[str]:
    if session.budget_overrun and session.predicted_ms is not None:
        yield (
            f"The route did not fit when it was picked: {session.predicted_ms:.0f} ms were predicted, "
            f"{session.predicted_ms - session.budget_ms:.0f} ms more than the budget of {session.budget_ms} ms."
        )
    for part in PARTS:
        leg = session.route.get(part)
        if leg is None or leg.predicted_ms is None:
            continue
        picked = in_text(leg.provider, "provider")
        others = dict.fromkeys(provider for provider, _ in called(leg) if provider != leg.provider)
        names = " and ".join(in_text(one, "provider") for one in others)
        if not is_called(leg):
            yield (
                f"For {part} {picked} was picked and not called: {names} {_were(len(others))}. What was predicted, "
                f"{leg.predicted_ms:.0f} ms, is {picked}'s."
            )
        elif others:
            yield f"For {part} {picked} was picked, and {names} {_were(len(others))} called as well."


def _of_failures(found: Found) -> Iterator[str]:
    if not found.are_all:
        yield f"Only the newest {_counted(len(found.exchanges), 'exchange')} of the session were looked at."
    if not found.failed:
        return
    refused, failed = found.refused, len(found.failed) - found.refused
    further = f", and {refused} more {_were(refused)} refused before anything was sent" if refused else ""
    told = "; ".join(_failure_words(one, found.exchanges) for one in found.failed[:_LISTED])
    rest = f"; and {len(found.failed) - _LISTED} more" if len(found.failed) > _LISTED else ""
    yield f"Of {_counted(found.counted, 'exchange')} {failed or 'none'} failed{further}: {told}{rest}."


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


def _of_calls(session: Session) -> Iterator[str]:
    many = [turn for turn in session.turns if turn.llm_calls > 1]
    if many:
        told = ", ".join(f"turn {turn.index} with {turn.llm_calls}" for turn in many[:_LISTED])
        abandoned = sum(turn.abandoned for turn in many)
        yield (
            f"More than one LLM exchange, for a tool, a repeat or one made ahead, was in {_turns(len(many))}: {told}; "
            f"given up of these: {abandoned}."
        )


def _of_stand_ins(found: Found) -> Iterator[str]:
    counted = Counter((one.modality or "", one.provider) for one in found.stand_ins)
    for (modality, provider), count in counted.items():
        leg = found.session.route.get(modality)
        picked = in_text(None if leg is None else leg.provider, "provider")
        yield (
            f"Served by the local provider {in_text(provider, 'provider')}, where {picked} was picked: "
            f"{_counted(count, in_text(modality, 'modality') + ' exchange')}."
        )
    if found.stand_ins and found.day is not None:
        yield (
            f"The project's budget action is {in_text(found.day.budget_action, 'budget_action')}; "
            f"its budget is {in_text(found.day.budget_status, 'budget_status')} now."
        )


def _of_the_unknown(found: Found) -> Iterator[str]:
    if not found.is_project_there:
        yield "The project is not there any more, so what it observes is unknown."
    turns = found.session.turns
    for part in (*PARTS, "total"):
        unseen = [turn.index for turn in turns if turn.part_ms(part) is None]
        if unseen:
            which = ", ".join(map(str, unseen[:_LISTED])) + (" and more" if len(unseen) > _LISTED else "")
            yield f"{part} is unknown in {len(unseen)} of {_turns(len(turns))}, {which}: a mark of it was not seen."


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _turns(number: int) -> str:
    return _counted(number, "turn")


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"

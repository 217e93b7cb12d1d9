"""The geometry of charts, for templates to draw as inline SVG. Pure; what is not known is a gap, never a zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

from voicegw_sidecar.meter.timed import Turn
from voicegw_sidecar.store.queries.costs import DayModality
from voicegw_sidecar.terms import NS_PER_MS

_STEPS = (1, 2, 2.5, 5, 10)


class Tick(Struct, frozen=True):
    """A line across a chart; ``at`` is in the chart's own units."""

    at: float
    label: str


class Scale(Struct, frozen=True):
    """From milliseconds to the width of a waterfall, which is 1000 units."""

    most_ms: int
    ticks: list[Tick]
    budget_at: float | None
    """Where the latency budget is; None where it lies beyond."""

    def at(self, value_ms: float) -> float:
        """Return the place of a moment."""
        return round(1000 * value_ms / self.most_ms, 1)


class Stretch(Struct, frozen=True):
    """One part of a turn: from ``x`` on, ``width`` wide. ``kind`` is a modality, "agent", or "unknown"."""

    kind: str
    x: float
    width: float
    ms: int | None


def scale_of(turns: Sequence[Turn], budget_ms: int) -> Scale:
    """Return the scale that all turns of a page share; one far slower than the others is cut off, and says so."""
    totals = sorted(turn.total_ms for turn in turns if turn.total_ms is not None)
    budget_ms = max(1, budget_ms)
    usual = totals[min(len(totals) - 1, math.ceil(len(totals) * 0.95))] if totals else budget_ms
    most = int(_round_up(max(10, 1.05 * usual, min(budget_ms * 1.05, usual * 2))))
    step = _step(most)
    ticks = [Tick(round(1000 * value / most, 1), f"{value:,.0f}") for value in _multiples(step, most)]
    budget_at = round(1000 * budget_ms / most, 1) if budget_ms <= most else None
    return Scale(most, ticks, budget_at)


def stretches(turn: Turn, scale: Scale) -> list[Stretch]:
    """Return the parts of a turn where they were, gaps of the agent's own time between them.

    Without all moments the total, where it is known, is drawn as one stretch of which nothing more is known; without a
    total there is the transcript's part alone, which begins the turn.
    """
    if turn.total_ms is None:
        return _laid_out([("stt", turn.stt_ms or 0)], scale)
    if turn.agent_ms is None or turn.speech_ended_ns is None:
        known = [("stt", turn.stt_ms), ("llm", turn.llm_ms), ("tts", turn.tts_ms)]
        rest_ms = turn.total_ms - sum(part_ms or 0 for _, part_ms in known)
        parts = [(kind, part_ms) for kind, part_ms in known if part_ms] + [("unknown", max(0, rest_ms))]
        return _laid_out(parts, scale)
    return _laid_out(_in_order(turn), scale)


def _in_order(turn: Turn) -> list[tuple[str, int]]:
    """Return a turn's parts from the end of speech to the first audio, whole milliseconds that sum to its total."""
    stt_ms, llm_ms, tts_ms = turn.stt_ms or 0, turn.llm_ms or 0, turn.tts_ms or 0
    agent_ms = turn.agent_ms or 0
    # the agent's own time lies before the LLM is asked and before the text is sent; what was seen tells how much where
    before_ms = 0
    if turn.asked_ns is not None and turn.final_ns is not None:
        before_ms = min(agent_ms, max(0, (turn.asked_ns - turn.final_ns) // NS_PER_MS))
    parts = [("stt", stt_ms), ("agent", before_ms), ("llm", llm_ms), ("agent", agent_ms - before_ms), ("tts", tts_ms)]
    return [(kind, part_ms) for kind, part_ms in parts if part_ms > 0]


def _laid_out(parts: Sequence[tuple[str, int]], scale: Scale) -> list[Stretch]:
    found, begun_ms = [], 0
    for kind, part_ms in parts:
        if part_ms > 0:
            x = min(1000.0, scale.at(begun_ms))
            found.append(Stretch(kind, x, round(max(0.0, min(1000.0, scale.at(begun_ms + part_ms)) - x), 1), part_ms))
        begun_ms += part_ms
    return found


class Point(Struct, frozen=True):
    """One value of a line."""

    x: float
    y: float
    label: str


class TurnLine(Struct, frozen=True):
    """How long each turn of a session took: runs of points, with gaps where a total is not known."""

    runs: list[list[Point]]
    ticks: list[Tick]
    budget_y: float | None


LINE_HEIGHT = 120


def turn_line(turns: Sequence[Turn], budget_ms: int) -> TurnLine:
    """Return the line of ``total_ms`` over all turns, 1000 wide and `LINE_HEIGHT` high."""
    totals = [turn.total_ms for turn in turns]
    known = [total for total in totals if total is not None and total >= 0]
    if len(known) < 2:
        return TurnLine([], [], None)
    most = _round_up(max(*known, budget_ms, 1) * 1.05)
    runs: list[list[Point]] = [[]]
    for place, total_ms in enumerate(totals):
        if total_ms is None or total_ms < 0:
            runs.append([])
            continue
        x = round(10 + 980 * place / max(1, len(totals) - 1), 1)
        runs[-1].append(Point(x, _height(total_ms, most), f"turn {place + 1}: {total_ms:,} ms"))
    ticks = [Tick(_height(value, most), f"{value:,.0f}") for value in _multiples(_step(most, 3), most)]
    return TurnLine([run for run in runs if run], ticks, _height(budget_ms, most))


def _height(value: float, most: float) -> float:
    return round(LINE_HEIGHT - LINE_HEIGHT * value / most, 1)


class Block(Struct, frozen=True):
    """One kind of work in a day's column."""

    kind: str
    y: float
    height: float
    nanousd: int


class Column(Struct, frozen=True):
    """One day of the cost chart; without rows there are no blocks, which is a gap and no zero."""

    day: str
    x: float
    width: float
    blocks: list[Block]
    nanousd: int
    requests: int
    unpriced: int


class CostChart(Struct, frozen=True):
    """What each day cost, by kind of work; 1000 wide and `COST_HEIGHT` high."""

    columns: list[Column]
    ticks: list[Tick]


COST_HEIGHT = 180
_KINDS = {"stt": 0, "llm": 1, "tts": 2, "s2s": 3}


def cost_chart(days: Sequence[str], found: Sequence[DayModality]) -> CostChart:
    """Return the columns of these days."""
    by_day: dict[str, list[DayModality]] = {}
    for entry in found:
        by_day.setdefault(entry.day, []).append(entry)
    most = max((sum(one.nanousd for one in entries) for entries in by_day.values()), default=0)
    if not most:
        return CostChart([], [])
    top_usd = _round_up(most / 1e9 * 1.05)
    slot = 1000 / len(days)
    columns = []
    for place, day in enumerate(days):
        entries = sorted(by_day.get(day, []), key=lambda one: _KINDS.get(one.modality, len(_KINDS)))
        blocks, y = [], float(COST_HEIGHT)
        for one in entries:
            height = COST_HEIGHT * one.nanousd / 1e9 / top_usd
            y -= height
            if height > 0:
                blocks.append(
                    Block(
                        one.modality if one.modality in _KINDS else "other", round(y, 2), round(height, 2), one.nanousd
                    )
                )
        columns.append(Column(
            day, round(place * slot + slot * 0.12, 2), round(slot * 0.76, 2), blocks,
            sum(one.nanousd for one in entries), sum(one.requests for one in entries),
            sum(one.unpriced for one in entries),
        ))  # fmt: skip
    ticks = [
        Tick(round(COST_HEIGHT - COST_HEIGHT * value / top_usd, 1), _dollars(value))
        for value in _multiples(_step(top_usd, 3), top_usd)
    ]
    return CostChart(columns, ticks)


def _dollars(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.3g}"


def _round_up(value: float) -> float:
    """Return the next number that is a round one."""
    power = 10.0 ** math.floor(math.log10(value))
    found = next(step * power for step in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= value)
    return float(found)


def _step(most: float, about: int = 5) -> float:
    """Return the distance of round ticks, so that there are about so many."""
    rough = most / about
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough)


def _multiples(step: float, most: float) -> list[float]:
    return [step * number for number in range(1, int(most / step) + 1)]

"""A session's turns drawn in letters: one line a turn, all in one scale. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from voicegw_sidecar.mcp.told import PARTS, Turn
from voicegw_sidecar.mcp.untrusted import UNKNOWN, in_text

_COLUMNS = 48
_LETTERS = {"stt": "s", "llm": "l", "tts": "t", "agent": "a"}
KEY = "s stt, l llm, t tts, a the agent's own time, ? parts unknown, | the latency budget; parts add up, in this order"


def drawn(turns: Sequence[Turn], budget_ms: int) -> list[str]:
    """Return the lines; a turn whose total is unknown has no bar."""
    totals = [turn.total_ms for turn in turns if turn.total_ms is not None]
    if not turns:
        return ["(no turns)"]
    scale_ms = max([budget_ms, 1, *totals])
    lines = [f"latency budget {budget_ms} ms; one column is {scale_ms / _COLUMNS:.0f} ms; {KEY}"]
    return [*lines, *(_line(turn, budget_ms, scale_ms) for turn in turns)]


def _line(turn: Turn, budget_ms: int, scale_ms: int) -> str:
    parts = " ".join(f"{part} {in_text(turn.part_ms(part))}" for part in PARTS)
    mark = ", over the budget" if (turn.total_ms or 0) > budget_ms else ""
    cut = ", interrupted" if turn.interrupted else ""
    total = UNKNOWN if turn.total_ms is None else f"{turn.total_ms} ms"
    return f"turn {turn.index:<3} [{_bar(turn, budget_ms, scale_ms)}] {total} ({parts}{mark}{cut})"


def _bar(turn: Turn, budget_ms: int, scale_ms: int) -> str:
    at_ms, end, bar = 0, 0, ""
    if turn.total_ms is not None and any(turn.part_ms(part) is None for part in PARTS):
        bar = "?" * _column(turn.total_ms, scale_ms)
    elif turn.total_ms is not None:
        for part in PARTS:
            at_ms += turn.part_ms(part) or 0
            bar += _LETTERS[part] * (_column(at_ms, scale_ms) - end)
            end = max(end, _column(at_ms, scale_ms))
    limit = _column(budget_ms, scale_ms)
    return "".join(
        "|" if column == limit and column >= len(bar) else bar[column] if column < len(bar) else " "
        for column in range(_COLUMNS + 1)
    )


def _column(at_ms: int, scale_ms: int) -> int:
    return round(at_ms / scale_ms * _COLUMNS)

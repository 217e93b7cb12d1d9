"""The geometry of charts: what is known is where it was, what is not is a gap and never a zero."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegw_sidecar.meter.timed import Turn
from voicegw_sidecar.store.queries.costs import DayModality
from voicegw_sidecar.terms import NS_PER_MS
from voicegw_sidecar.web.charts import COST_HEIGHT, LINE_HEIGHT, cost_chart, scale_of, stretches, turn_line

FULL = Turn(
    0, stt_ms=300, llm_ms=200, tts_ms=100, agent_ms=60, total_ms=660, speech_ended_ns=0, final_ns=300 * NS_PER_MS,
    asked_ns=310 * NS_PER_MS, token_ns=510 * NS_PER_MS, text_ns=560 * NS_PER_MS, audio_ns=660 * NS_PER_MS,
)  # fmt: skip


def test_a_turn_is_drawn_as_it_went_with_the_agents_own_time_between() -> None:
    scale = scale_of([FULL], 1200)
    drawn = stretches(FULL, scale)
    assert [(part.kind, part.ms) for part in drawn] == [
        ("stt", 300), ("agent", 10), ("llm", 200), ("agent", 50), ("tts", 100)]  # fmt: skip
    for before, after in pairwise(drawn):
        assert abs(before.x + before.width - after.x) <= 0.2
    assert abs(drawn[-1].x + drawn[-1].width - scale.at(660)) <= 0.2


def test_what_was_not_observed_is_no_bar() -> None:
    scale = scale_of([FULL], 1200)
    assert stretches(Turn(1), scale) == []
    assert [(part.kind, part.ms) for part in stretches(Turn(1, stt_ms=300), scale)] == [("stt", 300)]
    partly = stretches(Turn(1, stt_ms=300, total_ms=900), scale)
    assert [(part.kind, part.ms) for part in partly] == [("stt", 300), ("unknown", 600)]
    assert [part.kind for part in stretches(Turn(1, total_ms=900), scale)] == ["unknown"]


def test_one_turn_far_slower_than_the_others_does_not_squeeze_them() -> None:
    turns = [FULL] * 40 + [Turn(41, total_ms=60_000)]
    scale = scale_of(turns, 1200)
    assert scale.most_ms < 5_000
    assert stretches(turns[-1], scale)[-1].x + stretches(turns[-1], scale)[-1].width <= 1000


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.none(), st.integers(0, 4_000_000)), max_size=80), st.integers(1, 3_600_000))
def test_nothing_is_drawn_outside(totals: list[int | None], budget_ms: int) -> None:
    turns = [Turn(index, total_ms=total) for index, total in enumerate(totals)]
    scale = scale_of(turns, budget_ms)
    for turn in turns:
        for part in stretches(turn, scale):
            assert 0 <= part.x <= 1000
            assert part.width >= 0
            assert part.x + part.width <= 1000.2
    assert all(0 <= tick.at <= 1000 for tick in scale.ticks)
    assert len(scale.ticks) <= 12
    line = turn_line(turns, budget_ms)
    for run in line.runs:
        for point in run:
            assert 0 <= point.x <= 1000
            assert 0 <= point.y <= LINE_HEIGHT


def test_a_line_breaks_where_a_total_is_not_known() -> None:
    turns = [Turn(0, total_ms=500), Turn(1), Turn(2, total_ms=600), Turn(3, total_ms=700)]
    line = turn_line(turns, 1000)
    assert [len(run) for run in line.runs] == [1, 2]
    assert turn_line([Turn(0, total_ms=500)], 1000).runs == []
    assert turn_line([], 1000).runs == []


def test_a_day_without_calls_is_a_gap() -> None:
    days = ["2026-11-01", "2026-11-02", "2026-11-03"]
    found = [
        DayModality("2026-11-01", "tts", 2_000_000_000, 4, 0),
        DayModality("2026-11-01", "stt", 1_000_000_000, 2, 1),
        DayModality("2026-11-03", "", 500_000_000, 1, 0),
    ]
    chart = cost_chart(days, found)
    first, second, third = chart.columns
    assert [block.kind for block in first.blocks] == ["stt", "tts"]
    assert (first.nanousd, first.requests, first.unpriced) == (3_000_000_000, 6, 1)
    assert (second.blocks, second.requests) == ([], 0)
    assert [block.kind for block in third.blocks] == ["other"]
    assert first.blocks[0].y + first.blocks[0].height == pytest.approx(COST_HEIGHT, abs=0.05)
    assert first.blocks[1].y + first.blocks[1].height == pytest.approx(first.blocks[0].y, abs=0.05)
    assert cost_chart(days, []).columns == []

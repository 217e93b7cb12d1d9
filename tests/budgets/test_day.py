"""A budget's day is the calendar day of the configured zone: 23 or 25 hours where the clocks change."""

from __future__ import annotations

import time
from datetime import datetime

import pytest

from tests.budgets.conftest import CALL_USD, StartBudgeted
from tests.budgets.test_sockets import LISTEN
from tests.simulator.conftest import eventually
from voicegw_sidecar.terms import NS_PER_S

HOUR_S = 3600
BUDGET_CALLS = 10


class SetClock:
    """The machine's clock, set to another time and moved on by hand."""

    def __init__(self, start: str) -> None:
        self._ahead_ns = 0
        self._base_ns = int(datetime.fromisoformat(start).timestamp()) * NS_PER_S - time.monotonic_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns() + self._ahead_ns

    def wall_ns(self) -> int:
        return self._base_ns + self.monotonic_ns()

    def move_on(self, seconds: float) -> None:
        """Let time pass, on both clocks."""
        self._ahead_ns += round(seconds * NS_PER_S)

    def set_wall(self, seconds: float) -> None:
        """Set the wall clock forth or back, as an operator or NTP does."""
        self._base_ns += round(seconds * NS_PER_S)


@pytest.mark.parametrize(
    ("start", "hours"),
    [
        ("2026-03-29T00:30:00+01:00", 23),
        ("2026-10-25T00:30:00+02:00", 25),
        ("2026-11-20T00:30:00+01:00", 24),
    ],
)
async def test_a_day_of_hourly_calls_is_refused_until_local_midnight(
    start_budgeted: StartBudgeted, start: str, hours: int
) -> None:
    clock = SetClock(start)
    more = "timezone: Europe/Berlin\n"
    async with start_budgeted("block", BUDGET_CALLS * CALL_USD, more=more, clock=clock) as bench:
        answers = []
        for _ in range(hours + 2):
            answers.append((await bench.chat())[0])
            clock.move_on(HOUR_S)
        await bench.sidecar.rows(hours + 2)
        daily = await bench.sidecar.get_json("/v1/costs/daily?project=acme&days=3")
    assert answers == [200] * BUDGET_CALLS + [402] * (hours - BUDGET_CALLS) + [200] * 2
    spent = {entry["day"]: entry["cost_usd"] for entry in daily}
    assert spent[start[:10]] == pytest.approx(BUDGET_CALLS * CALL_USD)
    assert sorted(spent.values()) == pytest.approx([2 * CALL_USD, BUDGET_CALLS * CALL_USD])


async def test_a_clock_set_back_over_midnight_neither_resets_nor_doubles_a_day(start_budgeted: StartBudgeted) -> None:
    clock = SetClock("2026-11-20T23:59:00+00:00")
    async with start_budgeted("block", CALL_USD, clock=clock) as bench:
        assert [(await bench.chat())[0] for _ in range(2)] == [200, 402]
        clock.set_wall(120)
        assert [(await bench.chat())[0] for _ in range(2)] == [200, 402]
        clock.set_wall(-120)
        assert (await bench.chat())[0] == 402
        clock.set_wall(86_400)
        assert (await bench.chat())[0] == 402
        rows = await bench.sidecar.rows(6)
        assert [row.status for row in rows] == ["ok", "refused", "ok", "refused", "refused", "refused"]
        assert all(row.total_ms is None or row.total_ms >= 0 for row in rows)


async def test_a_stream_over_midnight_counts_on_both_days_in_memory_as_in_the_rows(
    start_budgeted: StartBudgeted,
) -> None:
    clock = SetClock("2026-11-20T23:59:30+00:00")
    async with start_budgeted("block", 100.0, clock=clock) as bench:
        budgets = bench.sidecar.running.runtime.budgets
        async with bench.sidecar.http.ws_connect(bench.url(LISTEN)) as socket:
            for _ in range(2):  # ten seconds of audio, a dollar, on either side of midnight
                await socket.send_bytes(b"\0" * 320_000)
                await eventually(lambda: bench.in_flight_nanousd == pytest.approx(10**9, rel=0.1))
                clock.move_on(30)
        [row] = await bench.sidecar.rows(1)
        daily = await bench.sidecar.get_json("/v1/costs/daily?project=acme&days=3")
        assert [entry["day"] for entry in daily] == ["2026-11-20", "2026-11-21"]
        assert sum(entry["cost_usd"] for entry in daily) == pytest.approx((row.cost_nanousd or 0) / 1e9)
        assert daily[1]["cost_usd"] == pytest.approx(budgets.standing("acme").spent_nanousd / 1e9)
        assert bench.open_holds == 0

"""What was spent: ``GET /v1/costs`` and ``GET /v1/costs/daily``, from the daily totals."""

from __future__ import annotations

from datetime import date, timedelta

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME
from voicegw_sidecar.api.described import described
from voicegw_sidecar.api.parameters import PROJECT, Choice, Parameters, Query, Whole
from voicegw_sidecar.errors import StoreFailed, UnknownProject
from voicegw_sidecar.ledger.calendar import period_days
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.queries import costs
from voicegw_sidecar.terms import NANO_PER_USD

PERIODS = ("today", "week", "month", "all")
_PERIOD = Query("period", Choice(PERIODS), "today", "A calendar period in the configured time zone.")
_DAYS = Query("days", Whole(1, 3660), 30, "How many days, today included.")


class CostEntry(Struct, frozen=True):
    """Spend of one group."""

    cost_usd: float
    requests: int


class Costs(Struct, frozen=True):
    """Spend of one period; ``unpriced`` counts rows whose cost is not known."""

    period: str
    project: str | None
    total_usd: float
    requests: int
    unpriced: int
    by_provider: dict[str, CostEntry]
    by_model: dict[str, CostEntry]
    by_modality: dict[str, CostEntry]
    by_project: dict[str, CostEntry]


@described(
    "What was spent in a calendar period.", query=(_PERIOD, PROJECT), answers=Costs,
    refuses=(UnknownProject, StoreFailed),
)  # fmt: skip
async def period_costs(request: web.Request, asked: Parameters) -> Costs:
    """``GET /v1/costs``"""
    runtime = request.app[RUNTIME]
    return await costs_of(runtime, asked.read(_PERIOD), asked.project(runtime))


async def costs_of(runtime: Runtime, period: str, project: str | None) -> Costs:
    """Return the spend of a period."""
    first, last = period_days(period, runtime.clock.wall_ns(), runtime.zone)
    return costs_answer(await runtime.store.read(costs.spending, first, last, project), period, project)


def costs_answer(found: costs.Spending, period: str, project: str | None) -> Costs:
    """Put spending in its outside form; the command line prints the same."""
    return Costs(
        period=period,
        project=project,
        total_usd=found.total.nanousd / NANO_PER_USD,
        requests=found.total.requests,
        unpriced=found.total.unpriced,
        by_provider=_entries(found.by_provider),
        by_model=_entries(found.by_model),
        by_modality=_entries(found.by_modality),
        by_project=_entries(found.by_project),
    )


def _entries(found: dict[str, costs.Entry]) -> dict[str, CostEntry]:
    return {name: CostEntry(entry.nanousd / NANO_PER_USD, entry.requests) for name, entry in found.items()}


@described(
    "What each project spent on each day.", query=(PROJECT, _DAYS), answers=list[costs.DailyCost],
    refuses=(UnknownProject, StoreFailed),
)  # fmt: skip
async def daily_costs(request: web.Request, asked: Parameters) -> list[costs.DailyCost]:
    """``GET /v1/costs/daily``"""
    runtime, days = request.app[RUNTIME], asked.read(_DAYS)
    _, today = period_days("today", runtime.clock.wall_ns(), runtime.zone)
    first = date.fromisoformat(today) - timedelta(days=days - 1)
    return await runtime.store.read(costs.daily, first.isoformat(), asked.project(runtime))

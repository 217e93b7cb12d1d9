"""``/costs``: what was spent per day and project, by provider, model and kind of work; also as CSV."""

from __future__ import annotations

import csv
import io
from datetime import date, timedelta

import apsw
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.costs import PERIODS
from voicegw_sidecar.ledger.calendar import period_days
from voicegw_sidecar.store.queries import costs as queries
from voicegw_sidecar.web.charts import CostChart, cost_chart
from voicegw_sidecar.web.render import PAGE_HEADERS, content, show
from voicegw_sidecar.web.visit import only_operators, visit

CHART_DAYS = 30
DAY_ROWS = 100
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet takes such a text for a formula


class Share(Struct, frozen=True):
    """One group's part of the spend; ``percent`` of what is known."""

    name: str
    entry: queries.Entry
    percent: float


class CostsPage(Struct, frozen=True):
    """What the page shows."""

    period: str
    periods: tuple[str, ...]
    first_day: str | None
    last_day: str
    total: queries.Entry
    by_provider: list[Share]
    by_model: list[Share]
    by_modality: list[Share]
    by_project: list[Share]
    chart: CostChart
    days: list[tuple[str, str, queries.Entry]]
    has_more_days: bool


async def costs(request: web.Request) -> web.Response:
    """``GET /costs?project=&period=``"""
    seen = visit(request, "period")
    runtime, selected = seen.runtime, seen.project_id
    period = seen.parameters.choice("period", PERIODS) or "month"
    now_ns = runtime.clock.wall_ns()
    first, last = period_days(period, now_ns, runtime.zone)
    today = date.fromisoformat(last)
    charted = [(today - timedelta(days=back)).isoformat() for back in range(CHART_DAYS - 1, -1, -1)]

    return await show(seen, "pages/costs.html", "/costs", build, period, (first, last), selected, charted)


def build(
    connection: apsw.Connection, period: str, bounds: tuple[str | None, str], project: str | None, charted: list[str]
) -> CostsPage:
    """Ask the database."""
    first, last = bounds
    spent = queries.spending(connection, first, last, project)
    days = queries.by_day_and_project(connection, first or "", last, project, DAY_ROWS + 1)
    return CostsPage(
        period=period,
        periods=PERIODS,
        first_day=first,
        last_day=last,
        total=spent.total,
        by_provider=_shares(spent.by_provider, spent.total),
        by_model=_shares(spent.by_model, spent.total),
        by_modality=_shares(spent.by_modality, spent.total),
        by_project=_shares(spent.by_project, spent.total),
        chart=cost_chart(charted, queries.by_day_and_modality(connection, charted[0], last, project)),
        days=days[:DAY_ROWS],
        has_more_days=len(days) > DAY_ROWS,
    )


async def export(request: web.Request) -> web.Response:
    """``GET /costs/export.csv?project=&period=``: the daily totals of a period, a line each."""
    seen = visit(request, "period")
    only_operators(seen)
    runtime = seen.runtime
    period = seen.parameters.choice("period", PERIODS) or "month"
    first, last = period_days(period, runtime.clock.wall_ns(), runtime.zone)
    body = await content(request, runtime, csv_of, first, last, seen.project_id)
    name = f"costs-{seen.project_id or 'all'}-{period}-{last}.csv"
    headers = {**PAGE_HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=body, content_type="text/csv", charset="utf-8", headers=headers)


def csv_of(connection: apsw.Connection, first: str | None, last: str, project: str | None) -> bytes:
    """Return the daily totals, a line each."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("project", "day", "modality", "provider", "model", "requests", "cost_usd", "unpriced_requests"))
    lines = queries.lines(connection, first, last, project)
    for line in lines[: queries.LIMIT_LINES]:
        names = (line.project, line.day, line.modality, line.provider, line.model)
        writer.writerow((*map(plain, names), line.requests, f"{line.nanousd / 1e9:.9f}", line.unpriced))
    if len(lines) > queries.LIMIT_LINES:
        writer.writerow((f"cut after {queries.LIMIT_LINES} lines: ask for a shorter period or one project",))
    return out.getvalue().encode()


def plain(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: model names come from the wire."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _shares(found: dict[str, queries.Entry], total: queries.Entry) -> list[Share]:
    return [
        Share(name, entry, 100 * entry.nanousd / total.nanousd if total.nanousd else 0.0)
        for name, entry in found.items()
    ]

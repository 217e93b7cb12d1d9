"""What was spent: by period, provider, model, modality and project, all from the daily totals."""

from __future__ import annotations

import apsw
from msgspec import Struct


class Entry(Struct, frozen=True):
    """Spend of one group: whole nano-dollars, counted exchanges, and rows without a price."""

    nanousd: int
    requests: int
    unpriced: int


class Spending(Struct, frozen=True):
    """Spend of a period; models are keyed ``provider/model``."""

    total: Entry
    by_provider: dict[str, Entry]
    by_model: dict[str, Entry]
    by_modality: dict[str, Entry]
    by_project: dict[str, Entry]


class DailyCost(Struct, frozen=True):
    """Spend of one project on one day (ISO date in the configured zone)."""

    project: str
    day: str
    cost_usd: float


_GROUPS = {
    "provider": "provider",
    "model": "provider || '/' || CASE model WHEN '' THEN 'unknown' ELSE model END",
    "modality": "CASE modality WHEN '' THEN 'unknown' ELSE modality END",
    "project": "project",
}


def spending(connection: apsw.Connection, first_day: str | None, last_day: str, project: str | None) -> Spending:
    """Sum the days from ``first_day`` (None: ever) to ``last_day``, of one project or all."""
    bounds = (first_day or "", last_day, project, project)

    def grouped(group: str) -> dict[str, Entry]:
        query = (
            f"SELECT {_GROUPS[group]}, sum(cost_nanousd), sum(request_count), sum(unpriced_count) "  # noqa: S608
            "FROM daily_total WHERE day >= ? AND day <= ? AND (? IS NULL OR project = ?) GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        return {str(row[0]): Entry(int(row[1]), int(row[2]), int(row[3])) for row in connection.execute(query, bounds)}

    by_project = grouped("project")
    total = Entry(
        sum(entry.nanousd for entry in by_project.values()),
        sum(entry.requests for entry in by_project.values()),
        sum(entry.unpriced for entry in by_project.values()),
    )
    return Spending(total, grouped("provider"), grouped("model"), grouped("modality"), by_project)


class DayModality(Struct, frozen=True):
    """Spend of one kind of work on one day; ``modality`` "" is work of no known kind."""

    day: str
    modality: str
    nanousd: int
    requests: int
    unpriced: int


class CostLine(Struct, frozen=True):
    """The finest that daily totals tell: one project's day with one model. "" is not known."""

    project: str
    day: str
    modality: str
    provider: str
    model: str
    requests: int
    nanousd: int
    unpriced: int


LIMIT_LINES = 500_000


def by_project(
    connection: apsw.Connection, first_day: str | None, last_day: str, project: str | None
) -> dict[str, Entry]:
    """Sum the days of each project, or of one: what the pages that are open all day ask for."""
    query = (
        "SELECT project, sum(cost_nanousd), sum(request_count), sum(unpriced_count) FROM daily_total "
        "WHERE day >= ? AND day <= ? AND (? IS NULL OR project = ?) GROUP BY project"
    )
    rows = connection.execute(query, (first_day or "", last_day, project, project))
    return {str(row[0]): Entry(int(row[1]), int(row[2]), int(row[3])) for row in rows}


def by_day_and_modality(
    connection: apsw.Connection, first_day: str, last_day: str, project: str | None
) -> list[DayModality]:
    """Return what each day's kinds of work cost, oldest day first; a day without rows has no entry."""
    query = (
        "SELECT day, modality, sum(cost_nanousd), sum(request_count), sum(unpriced_count) FROM daily_total "
        "WHERE day >= ? AND day <= ? AND (? IS NULL OR project = ?) GROUP BY day, modality ORDER BY day, modality"
    )
    rows = connection.execute(query, (first_day, last_day, project, project))
    return [DayModality(str(row[0]), str(row[1]), int(row[2]), int(row[3]), int(row[4])) for row in rows]


def by_day_and_project(
    connection: apsw.Connection, first_day: str, last_day: str, project: str | None, limit: int
) -> list[tuple[str, str, Entry]]:
    """Return day, project and spend, newest day first, then the dearest project."""
    query = (
        "SELECT day, project, sum(cost_nanousd), sum(request_count), sum(unpriced_count) FROM daily_total "
        "WHERE day >= ? AND day <= ? AND (? IS NULL OR project = ?) GROUP BY day, project "
        "ORDER BY day DESC, 3 DESC LIMIT ?"
    )
    rows = connection.execute(query, (first_day, last_day, project, project, limit))
    return [(str(row[0]), str(row[1]), Entry(int(row[2]), int(row[3]), int(row[4]))) for row in rows]


def lines(connection: apsw.Connection, first_day: str | None, last_day: str, project: str | None) -> list[CostLine]:
    """Return the daily totals themselves, newest day first; one more than `LIMIT_LINES` tells that there are more."""
    query = (
        "SELECT project, day, modality, provider, model, request_count, cost_nanousd, unpriced_count FROM daily_total "
        "WHERE day >= ? AND day <= ? AND (? IS NULL OR project = ?) "
        "ORDER BY day DESC, project, modality, provider, model LIMIT ?"
    )
    rows = connection.execute(query, (first_day or "", last_day, project, project, LIMIT_LINES + 1))
    return [CostLine(*map(str, row[:5]), *map(int, row[5:])) for row in rows]  # type: ignore[arg-type]


def daily(connection: apsw.Connection, first_day: str, project: str | None) -> list[DailyCost]:
    """Return each project's spend on each day from ``first_day`` on, through the view users query."""
    query = (
        "SELECT project, day, sum(total_cost) FROM project_daily_costs "
        "WHERE day >= ? AND (? IS NULL OR project = ?) GROUP BY project, day ORDER BY project, day"
    )
    rows = connection.execute(query, (first_day, project, project))
    return [DailyCost(str(row[0]), str(row[1]), round(float(row[2]), 9)) for row in rows]

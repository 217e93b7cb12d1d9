"""What budgets start from: the last days' totals, and what the latest exchanges cost."""

from __future__ import annotations

import apsw
from msgspec import Struct

RECENT_ROWS = 2000


class Seed(Struct, frozen=True):
    """``days``: project, ISO day, nano-dollars. ``costs``: provider, model, modality, nano-dollars, oldest first."""

    days: list[tuple[str, str, int]]
    costs: list[tuple[str, str | None, str, int]]


def budget_seed(connection: apsw.Connection, first_day: str) -> Seed:
    """Read the totals from ``first_day`` on, and the costs of the newest rows that have one."""
    totals = connection.execute(
        "SELECT project, day, sum(cost_nanousd) FROM daily_total WHERE day >= ? GROUP BY project, day ORDER BY day",
        (first_day,),
    )
    days = [(str(project), str(day), int(str(nanousd))) for project, day, nanousd in totals]
    recent = connection.execute(
        "SELECT provider, model, modality, cost_nanousd FROM "
        "(SELECT id, provider, model, modality, cost_nanousd FROM exchange ORDER BY id DESC LIMIT ?) "
        "WHERE cost_nanousd > 0 AND modality IS NOT NULL ORDER BY id",
        (RECENT_ROWS,),
    )
    costs = [
        (str(provider), None if model is None else str(model), str(modality), int(str(nanousd)))
        for provider, model, modality, nanousd in recent
    ]
    return Seed(days, costs)

"""``projects``: every project, its budget and what it spent today, read from the database."""

from __future__ import annotations

import argparse

from voicegw_sidecar.cli.database import open_database
from voicegw_sidecar.cli.output import UNKNOWN, say_json, say_table, usd


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``projects``."""
    parser.add_argument("--json", action="store_true", help="print as JSON")


def projects(options: argparse.Namespace) -> int:
    """Print the projects."""
    from voicegw_sidecar.api.projects import projects_answer
    from voicegw_sidecar.ledger.calendar import period_days
    from voicegw_sidecar.store.queries.costs import spending

    opened = open_database(options)
    first, last = period_days("today", opened.wall_ns, opened.zone)
    found = projects_answer(opened.catalog, spending(opened.connection, first, last, None))
    if options.json:
        say_json(found)
        return 0
    rows = []
    for project in found.projects:
        stats = found.stats[project.id]
        budget = UNKNOWN if project.daily_budget is None else usd(project.daily_budget)
        rows.append(
            (project.id, project.name, str(stats.requests_today), usd(stats.cost_today_usd), budget,
             project.budget_action, stats.budget_status)
        )  # fmt: skip
    say_table(("PROJECT", "NAME", "REQUESTS", "USD TODAY", "DAILY BUDGET", "ACTION", "STATUS"), rows, right=(2, 3, 4))
    return 0

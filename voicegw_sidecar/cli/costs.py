"""``costs``: what was spent in a period, read from the database."""

from __future__ import annotations

import argparse

from voicegw_sidecar.cli.database import open_database
from voicegw_sidecar.cli.output import say, say_json, say_table, usd


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``costs``."""
    parser.add_argument("--project", help="one project only")
    parser.add_argument("--period", choices=("today", "week", "month", "all"), default="today")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def costs(options: argparse.Namespace) -> int:
    """Print the spend by model."""
    from voicegw_sidecar.api.costs import costs_answer
    from voicegw_sidecar.ledger.calendar import period_days
    from voicegw_sidecar.store.queries.costs import spending

    opened = open_database(options)
    first, last = period_days(options.period, opened.wall_ns, opened.zone)
    found = costs_answer(spending(opened.connection, first, last, options.project), options.period, options.project)
    if options.json:
        say_json(found)
        return 0
    whose = f"project {options.project}" if options.project else "all projects"
    say(f"{options.period}, {whose}: {usd(found.total_usd)} USD, {found.requests} requests")
    if found.unpriced:
        say(f"{found.unpriced} exchanges have no known price and are not in these figures.")
    if found.by_model:
        say("")
        rows = [(name, str(entry.requests), usd(entry.cost_usd)) for name, entry in found.by_model.items()]
        say_table(("MODEL", "REQUESTS", "USD"), rows, right=(1, 2))
    return 0

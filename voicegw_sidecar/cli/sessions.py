"""``sessions``: conversations, newest first, read from the database."""

from __future__ import annotations

import argparse

from voicegw_sidecar.cli.database import open_database
from voicegw_sidecar.cli.logs import limit_of
from voicegw_sidecar.cli.output import UNKNOWN, say_json, say_table, usd


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sessions``."""
    parser.add_argument("--project", help="one project only")
    parser.add_argument("--limit", type=limit_of, default=50, metavar="N", help="how many, at most 1000")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def sessions(options: argparse.Namespace) -> int:
    """Print the sessions."""
    from voicegw_sidecar.api.sessions import listed_sessions

    opened = open_database(options)
    found = listed_sessions(opened.connection, options.project, None, options.limit)
    if options.json:
        say_json(found)
        return 0
    rows = [
        (
            entry.started_at, entry.project, entry.id, "open" if entry.ended_at is None else "closed",
            " + ".join(leg.provider if leg else UNKNOWN for leg in entry.route.values()),
            _whole(entry.turn_count), _whole(entry.interruptions), _ms(entry.budget_ms_used), str(entry.budget_ms),
            usd(entry.cost_usd),
        )
        for entry in found.sessions
    ]  # fmt: skip
    headings = (
        "STARTED", "PROJECT", "SESSION", "STATE", "STT + LLM + TTS", "TURNS", "CUT IN", "USED MS", "BUDGET MS", "USD",
    )  # fmt: skip
    say_table(headings, rows, right=(5, 6, 7, 8, 9))
    return 0


def _whole(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)


def _ms(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f}"

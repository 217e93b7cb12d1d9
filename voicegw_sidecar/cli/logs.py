"""``logs``: the exchanges, newest first, read from the database."""

from __future__ import annotations

import argparse

from voicegw_sidecar.cli.database import open_database
from voicegw_sidecar.cli.output import UNKNOWN, say_json, say_table, usd
from voicegw_sidecar.terms import Modality, Status


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``logs``."""
    parser.add_argument("--project", help="one project only")
    parser.add_argument("--modality", choices=[modality.value for modality in Modality])
    parser.add_argument("--status", choices=[status.value for status in Status])
    parser.add_argument("--session", metavar="ID", help="one session only")
    parser.add_argument("--limit", type=limit_of, default=50, metavar="N", help="how many, at most 1000")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def limit_of(text: str) -> int:
    """Read how many rows are asked for."""
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number from 1 to 1000")
    return int(text)


def logs(options: argparse.Namespace) -> int:
    """Print the exchanges."""
    from voicegw_sidecar.api.logs import logs_answer
    from voicegw_sidecar.store.queries.exchanges import Filter, exchanges

    opened = open_database(options)
    wanted = Filter(
        project=options.project, modality=options.modality, session_id=options.session,
        status=options.status, limit=options.limit,
    )  # fmt: skip
    found = logs_answer(exchanges(opened.connection, wanted))
    if options.json:
        say_json(found)
        return 0
    rows = [
        (
            entry.started_at, entry.project, entry.modality or UNKNOWN,
            f"{entry.provider}/{entry.model or '?'}", entry.status, _ms(entry.first_ms), _ms(entry.total_ms),
            ("~" if entry.estimated else "") + usd(entry.cost_usd),
        )
        for entry in found.logs
    ]  # fmt: skip
    headings = ("STARTED", "PROJECT", "KIND", "MODEL", "STATUS", "FIRST MS", "TOTAL MS", "USD")
    say_table(headings, rows, right=(5, 6, 7))
    return 0


def _ms(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.0f}"

"""How commands print: plain tables with aligned columns, or JSON."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec

UNKNOWN = "-"


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")


def say_json(body: object) -> None:
    """Print JSON, indented for eyes and valid for programs."""
    say(msgspec.json.format(msgspec.json.encode(body), indent=2).decode())


def say_table(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print rows under headings; columns in ``right`` are numbers and align right."""
    widths = [max(len(line[column]) for line in (headings, *rows)) for column in range(len(headings))]
    for line in (headings, *rows):
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        say("  ".join(cells).rstrip())


def usd(amount: float | None) -> str:
    """Show dollars with as many decimals as make a small amount visible."""
    if amount is None:
        return UNKNOWN
    return f"{amount:,.2f}" if amount >= 0.1 or amount == 0 else f"{amount:.6f}"

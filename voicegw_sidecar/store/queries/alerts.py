"""Which budget alerts were delivered."""

from __future__ import annotations

import apsw

from voicegw_sidecar.store.session_records import Statement

Told = tuple[str, str, int, int]
"""Project, ISO day, percent, and the budget in nano-dollars."""


def delivered(connection: apsw.Connection, first_day: str) -> list[Told]:
    """Return the alerts of a day and later that reached their receiver."""
    rows = connection.execute("SELECT project, day, percent, limit_nanousd FROM alert WHERE day >= ?", (first_day,))
    return [(str(project), str(day), int(str(percent)), int(str(limit))) for project, day, percent, limit in rows]


def write_delivered(told: Told, now_ns: int) -> Statement:
    """Remember that an alert was delivered."""
    return (
        "INSERT OR IGNORE INTO alert (project, day, percent, limit_nanousd, delivered_ns) VALUES (?, ?, ?, ?, ?)",
        (*told, now_ns),
    )


def forget_delivered(before_day: str) -> Statement:
    """Forget the alerts of earlier days."""
    return "DELETE FROM alert WHERE day < ?", (before_day,)

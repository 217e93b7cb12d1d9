"""What operators did at run time: managed projects, brands, share links, sign-ins and the log of changes."""

from __future__ import annotations

import enum

import apsw
from msgspec import Struct

from voicegw_sidecar.store.operator_records import AuditRow, BrandRow, ManagedRow, PurgeRow, ShareRow, SignInRow
from voicegw_sidecar.store.records import Value


def managed_projects(connection: apsw.Connection) -> list[ManagedRow]:
    """Return every project that was made at run time, oldest first."""
    # as bytes: what another program wrote may be no text, and must not keep the sidecar from starting
    query = (
        "SELECT CAST(project_id AS BLOB), CAST(settings AS BLOB), created_ns, updated_ns FROM managed_projects "
        "ORDER BY created_ns, project_id"
    )
    return [
        ManagedRow(
            bytes(project_id).decode("utf-8", "replace"), bytes(settings).decode("utf-8", "replace"),
            int(created_ns), int(updated_ns),
        )
        for project_id, settings, created_ns, updated_ns in connection.execute(query)
    ]  # fmt: skip


def brands(connection: apsw.Connection) -> list[BrandRow]:
    """Return every brand that was set at run time."""
    query = "SELECT project_id, product_name, accent_color, logo_extension, logo_digest FROM branding"
    return [BrandRow(str(row[0]), *map(_text, row[1:])) for row in connection.execute(query)]


def shares(connection: apsw.Connection) -> list[ShareRow]:
    """Return every share link there was, newest first."""
    query = "SELECT id, project, label, created_ns, expires_ns, created_by, revoked_ns FROM share ORDER BY id DESC"
    return [
        ShareRow(
            str(id_), str(project), str(label), int(created_ns), int(expires_ns), str(created_by),
            None if revoked_ns is None else int(revoked_ns),
        )
        for id_, project, label, created_ns, expires_ns, created_by, revoked_ns in connection.execute(query)
    ]  # fmt: skip


def sign_ins(connection: apsw.Connection, now_ns: int) -> list[SignInRow]:
    """Return the browsers that are signed in, those longest first."""
    query = "SELECT digest, key_print, expires_ns FROM sign_in WHERE expires_ns > ? ORDER BY expires_ns"
    rows = connection.execute(query, (now_ns,))
    return [SignInRow(str(digest), str(key_print), int(expires_ns)) for digest, key_print, expires_ns in rows]


class AuditListing(Struct, frozen=True):
    """Changes, newest first, and the id to continue before; None at the end."""

    rows: list[AuditRow]
    next: str | None


def changes(connection: apsw.Connection, project: str | None, before: str | None, limit: int) -> AuditListing:
    """List changes, of one project or all."""
    choices = (("project = ?", project), ("id < ?", before))
    terms = [term for term, value in choices if value is not None]
    where = f"WHERE {' AND '.join(terms)} " if terms else ""
    query = (
        "SELECT id, at_ns, actor, action, project, before, after FROM audit "  # noqa: S608 - constants
        f"{where}ORDER BY id DESC LIMIT ?"
    )
    values = [value for _, value in choices if value is not None]
    rows = [
        AuditRow(str(id_), int(at_ns), str(actor), str(action), _text(owner), _text(old), _text(new))
        for id_, at_ns, actor, action, owner, old, new in connection.execute(query, (*values, limit + 1))
    ]
    has_more = len(rows) > limit
    rows = rows[:limit]
    return AuditListing(rows, rows[-1].id if has_more else None)


def purges(connection: apsw.Connection) -> list[PurgeRow]:
    """Return the purges that are due."""
    rows = connection.execute("SELECT project, until_id FROM purge ORDER BY until_id")
    return [PurgeRow(str(project), str(until_id)) for project, until_id in rows]


class Left(enum.Enum):
    """What a purge has left to do."""

    NOTHING = "nothing"
    SOMETHING = "something"
    RUNNING = "running"
    """What is left is still running: it is removed once it has ended."""


def what_is_left(connection: apsw.Connection, row: PurgeRow) -> Left:
    """Say what a purge has left to do."""
    ended, running = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM exchange WHERE project = :project AND id < :until AND status <> 'open') "
        "OR EXISTS (SELECT 1 FROM session WHERE project = :project AND uid < :until AND ended_ns IS NOT NULL), "
        "EXISTS (SELECT 1 FROM exchange WHERE status = 'open' AND project = :project AND id < :until) "
        "OR EXISTS (SELECT 1 FROM session WHERE ended_ns IS NULL AND project = :project AND uid < :until)",
        {"project": row.project, "until": row.until_id},
    ).fetchall()[0]
    return Left.SOMETHING if ended else Left.RUNNING if running else Left.NOTHING


def _text(value: Value) -> str | None:
    return None if value is None else str(value)

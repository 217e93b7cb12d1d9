"""Rows of what operators do at run time: projects, brands, share links, sign-ins, changes; and what writes them.

No row holds a key: of provider keys there are only the names of environment variables, of cookies and links nothing
that could be used as one.
"""

from __future__ import annotations

from msgspec import Struct

from voicegw_sidecar.store.session_records import Statement


class ManagedRow(Struct, frozen=True):
    """A project that was made at run time; ``settings`` is JSON, validated as the configuration file is."""

    project_id: str
    settings: str
    created_ns: int
    updated_ns: int


class BrandRow(Struct, frozen=True):
    """What was set at run time for a project's look; None leaves the configuration file's."""

    project_id: str
    product_name: str | None = None
    accent_color: str | None = None
    logo_extension: str | None = None
    logo_digest: str | None = None


class ShareRow(Struct, frozen=True):
    """A link that shows one project. Times are wall-clock nanoseconds."""

    id: str
    project: str
    label: str
    created_ns: int
    expires_ns: int
    created_by: str
    revoked_ns: int | None = None


class SignInRow(Struct, frozen=True):
    """A browser that is signed in: digests of its cookie and of its key."""

    digest: str
    key_print: str
    expires_ns: int


class AuditRow(Struct, frozen=True):
    """One change: who, what, and JSON of what was before and after."""

    id: str
    at_ns: int
    actor: str
    action: str
    project: str | None
    before: str | None
    after: str | None


def write_managed(row: ManagedRow) -> Statement:
    """Write or replace a managed project."""
    return (
        "INSERT INTO managed_projects (project_id, settings, created_ns, updated_ns) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (project_id) DO UPDATE SET settings = excluded.settings, updated_ns = excluded.updated_ns",
        (row.project_id, row.settings, row.created_ns, row.updated_ns),
    )


def forget_managed(project_id: str) -> Statement:
    """Remove a managed project; what it spent stays."""
    return "DELETE FROM managed_projects WHERE project_id = ?", (project_id,)


def write_brand(row: BrandRow, now_ns: int) -> Statement:
    """Write or replace a project's brand."""
    return (
        "INSERT OR REPLACE INTO branding (project_id, product_name, accent_color, logo_extension, logo_digest, "
        "updated_ns) VALUES (?, ?, ?, ?, ?, ?)",
        (row.project_id, row.product_name, row.accent_color, row.logo_extension, row.logo_digest, now_ns),
    )


def forget_brand(project_id: str) -> Statement:
    """Remove a project's brand."""
    return "DELETE FROM branding WHERE project_id = ?", (project_id,)


def write_share(row: ShareRow) -> Statement:
    """Write a new share link."""
    return (
        "INSERT INTO share (id, project, label, created_ns, expires_ns, created_by) VALUES (?, ?, ?, ?, ?, ?)",
        (row.id, row.project, row.label, row.created_ns, row.expires_ns, row.created_by),
    )


def revoke_share(id_: str, now_ns: int) -> Statement:
    """End a share link; a second time changes nothing."""
    return "UPDATE share SET revoked_ns = ? WHERE id = ? AND revoked_ns IS NULL", (now_ns, id_)


def write_sign_in(row: SignInRow, now_ns: int) -> tuple[Statement, Statement]:
    """Write a sign-in, and remove those that are over."""
    return (
        ("DELETE FROM sign_in WHERE expires_ns <= ?", (now_ns,)),
        ("INSERT INTO sign_in (digest, key_print, expires_ns) VALUES (?, ?, ?)",
         (row.digest, row.key_print, row.expires_ns)),
    )  # fmt: skip


def forget_sign_in(digest: str) -> Statement:
    """Remove a sign-in."""
    return "DELETE FROM sign_in WHERE digest = ?", (digest,)


def write_audit(row: AuditRow, node_id: str) -> Statement:
    """Write one change."""
    return (
        "INSERT INTO audit (id, node_id, at_ns, actor, action, project, before, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (row.id, node_id, row.at_ns, row.actor, row.action, row.project, row.before, row.after),
    )


class PurgeRow(Struct, frozen=True):
    """A purge that is due: of a project, everything whose id sorts before ``until_id``."""

    project: str
    until_id: str


def write_purge(row: PurgeRow) -> Statement:
    """Make a purge due; a later one of the same project takes in the earlier."""
    return "INSERT OR REPLACE INTO purge (project, until_id) VALUES (?, ?)", (row.project, row.until_id)


def end_purge(row: PurgeRow) -> Statement:
    """Remove a purge that is done, unless a later one took its place."""
    return "DELETE FROM purge WHERE project = ? AND until_id = ?", (row.project, row.until_id)


PURGE_ROWS = 100
"""Rows that one statement of a purge removes at most: the writer has calls' rows to write in between."""


def purge_statements(row: PurgeRow) -> tuple[Statement, ...]:
    """Remove some of what a project's calls left: exchanges, sessions, turns, memberships and observations.

    To be repeated until nothing is left; what was spent on which day stays.
    """
    some = (row.project, row.until_id, PURGE_ROWS)
    # of turns as many as of the others: a session may have thousands
    turns = (
        'SELECT t.session_uid, t."index" FROM session AS s JOIN turn AS t ON t.session_uid = s.uid '
        "WHERE s.project = ? AND s.uid < ? AND s.ended_ns IS NOT NULL ORDER BY s.uid LIMIT ?"
    )
    has_turns = "EXISTS (SELECT 1 FROM turn WHERE session_uid = uid)"
    sessions = "SELECT uid FROM session WHERE project = ? AND uid < ? AND ended_ns IS NOT NULL ORDER BY uid LIMIT ?"
    exchanges = "SELECT id FROM exchange WHERE project = ? AND id < ? AND status <> 'open' ORDER BY id LIMIT ?"
    return (
        ("DELETE FROM latency_observations WHERE project_id = ?", (row.project,)),
        (f'DELETE FROM turn WHERE (session_uid, "index") IN ({turns})', some),  # noqa: S608 - constants
        (f"DELETE FROM session WHERE uid IN ({sessions}) AND NOT {has_turns}", some),  # noqa: S608
        (f"DELETE FROM membership WHERE exchange_id IN ({exchanges})", some),  # noqa: S608
        (f"DELETE FROM counted_job WHERE exchange_id IN ({exchanges})", some),  # noqa: S608
        (f"DELETE FROM exchange WHERE id IN ({exchanges})", some),  # noqa: S608
    )

"""``/logs``: exchanges, newest first, filtered, followed; ``/logs/changes``: who changed what."""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.parameters import BEFORE
from voicegw_sidecar.store.operator_records import AuditRow
from voicegw_sidecar.store.queries import exchanges
from voicegw_sidecar.store.queries.operators import changes as queried_changes
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.terms import Modality, Status
from voicegw_sidecar.web.render import show
from voicegw_sidecar.web.visit import only_operators, visit

ROWS = 60
CHANGES = 100
_FILTERS = ("modality", "status", "session", "follow", "before")


class LogsPage(Struct, frozen=True):
    """What the page shows; the filters are as asked for."""

    rows: list[ExchangeRow]
    next: str | None
    modality: str | None
    status: str | None
    session: str | None
    is_following: bool
    is_first: bool
    modalities: tuple[str, ...] = tuple(modality.value for modality in Modality)
    statuses: tuple[str, ...] = tuple(status.value for status in Status)

    @property
    def is_filtered(self) -> bool:
        """True where an empty list does not mean that there is nothing."""
        return (self.modality, self.status, self.session) != (None, None, None)

    @property
    def filters(self) -> dict[str, str | None]:
        """The filters as parameters of another page of the same list."""
        return {"modality": self.modality, "status": self.status, "session": self.session}


async def logs(request: web.Request) -> web.Response:
    """``GET /logs?project=&modality=&status=&session=&follow=&before=``"""
    seen = visit(request, *_FILTERS)
    parameters = seen.parameters
    modality = parameters.choice("modality", [one.value for one in Modality])
    status = parameters.choice("status", [one.value for one in Status])
    session, before = parameters.text("session"), parameters.read(BEFORE)
    is_following = parameters.choice("follow", ("1",)) is not None and before is None
    wanted = exchanges.Filter(
        project=seen.project_id, modality=modality, session_id=session, status=status, before_id=before, limit=ROWS
    )

    template = "parts/logs.html" if seen.is_part else "pages/logs.html"
    return await show(seen, template, "/logs", build, wanted, is_following)


def build(connection: apsw.Connection, wanted: exchanges.Filter, is_following: bool) -> LogsPage:
    """Ask the database."""
    found = exchanges.exchanges(connection, wanted)
    return LogsPage(
        found.rows, found.next, wanted.modality, wanted.status, wanted.session_id, is_following,
        is_first=wanted.before_id is None,
    )  # fmt: skip


class Value(Struct, frozen=True):
    """One setting that changed, by its dotted key; None is not set."""

    name: str
    before: str | None
    after: str | None


class ChangeLine(Struct, frozen=True):
    """One change, and what of the settings it changed."""

    row: AuditRow
    values: list[Value]


class ChangesPage(Struct, frozen=True):
    """What the page of changes shows."""

    lines: list[ChangeLine]
    next: str | None
    is_first: bool


async def changes(request: web.Request) -> web.Response:
    """``GET /logs/changes?project=&before=``"""
    seen = visit(request, "before")
    only_operators(seen)
    before, selected = seen.parameters.read(BEFORE), seen.project_id

    return await show(seen, "pages/changes.html", "/logs/changes", build_changes, selected, before)


def build_changes(connection: apsw.Connection, project: str | None, before: str | None) -> ChangesPage:
    """Ask the database."""
    found = queried_changes(connection, project, before, CHANGES)
    lines = [ChangeLine(row, changed_values(row.before, row.after)) for row in found.rows]
    return ChangesPage(lines, found.next, before is None)


def changed_values(before: str | None, after: str | None) -> list[Value]:
    """Return the settings that differ between two JSON texts, by their dotted keys."""
    old, new = (dict(_leaves(_decoded(text), "")) for text in (before, after))
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return [Value(name, old.get(name), new.get(name)) for name in names]


def _decoded(text: str | None) -> object:
    return None if text is None else msgspec.json.decode(text)


def _leaves(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        yield path, ", ".join(map(str, value))
    elif value is not None:
        yield path, {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)

"""Who changed what: ``GET /v1/changes``, newest first."""

from __future__ import annotations

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME, answer, iso_utc
from voicegw_sidecar.api.parameters import Parameters
from voicegw_sidecar.store.queries.operators import changes as listed_changes


class ChangeEntry(Struct, frozen=True):
    """One change; ``before`` and ``after`` are what there was and is, null where there was nothing."""

    id: str
    at: str
    actor: str
    action: str
    project: str | None
    before: msgspec.Raw | None
    after: msgspec.Raw | None


class Changes(Struct, frozen=True):
    """A page of changes; ``next`` is what ``before`` takes to go on, null at the end."""

    changes: list[ChangeEntry]
    next: str | None


async def changes(request: web.Request) -> web.Response:
    """``GET /v1/changes?project=&before=&limit=``"""
    parameters, runtime = Parameters(request, "project", "before", "limit"), request.app[RUNTIME]
    project, before, limit = parameters.project(runtime), parameters.cursor("before"), parameters.limit()
    found = await runtime.store.read(listed_changes, project, before, limit)
    entries = [
        ChangeEntry(row.id, iso_utc(row.at_ns), row.actor, row.action, row.project, _raw(row.before), _raw(row.after))
        for row in found.rows
    ]
    return answer(Changes(entries, found.next))


def _raw(text: str | None) -> msgspec.Raw | None:
    return None if text is None else msgspec.Raw(text.encode())

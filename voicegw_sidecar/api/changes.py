"""Who changed what: ``GET /v1/changes``, newest first."""

from __future__ import annotations

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME, IsoUtc, iso_utc
from voicegw_sidecar.api.described import described
from voicegw_sidecar.api.parameters import BEFORE, LIMIT, PROJECT, Parameters
from voicegw_sidecar.errors import StoreFailed, UnknownProject
from voicegw_sidecar.store.queries.operators import changes as listed_changes


class ChangeEntry(Struct, frozen=True):
    """One change; ``before`` and ``after`` are what there was and is, null where there was nothing."""

    id: str
    at: IsoUtc
    actor: str
    action: str
    project: str | None
    before: msgspec.Raw | None
    after: msgspec.Raw | None


class Changes(Struct, frozen=True):
    """A page of changes; ``next`` is what ``before`` takes to go on, null at the end."""

    changes: list[ChangeEntry]
    next: str | None


@described(
    "Who changed what, newest first.", query=(PROJECT, BEFORE, LIMIT), answers=Changes,
    refuses=(UnknownProject, StoreFailed),
)  # fmt: skip
async def changes(request: web.Request, asked: Parameters) -> Changes:
    """``GET /v1/changes``"""
    runtime = request.app[RUNTIME]
    project, before, limit = asked.project(runtime), asked.read(BEFORE), asked.read(LIMIT)
    found = await runtime.store.read(listed_changes, project, before, limit)
    entries = [
        ChangeEntry(row.id, iso_utc(row.at_ns), row.actor, row.action, row.project, _raw(row.before), _raw(row.after))
        for row in found.rows
    ]
    return Changes(entries, found.next)


def _raw(text: str | None) -> msgspec.Raw | None:
    return None if text is None else msgspec.Raw(text.encode())

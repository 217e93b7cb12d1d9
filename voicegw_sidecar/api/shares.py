"""Share links: ``GET`` and ``POST /api/shares``, ``DELETE /api/shares/{id}``."""

from __future__ import annotations

from aiohttp import web
from msgspec import UNSET, Struct, UnsetType

from voicegw_sidecar.api.answers import RUNTIME, VISITOR, answer, iso_utc, scheme_of
from voicegw_sidecar.api.body import json_body
from voicegw_sidecar.api.parameters import Parameters
from voicegw_sidecar.operating import shares
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.shares import DAYS_DEFAULT
from voicegw_sidecar.store.operator_records import ShareRow


class Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/shares``."""

    project: str
    days: int = DAYS_DEFAULT
    label: str = ""


class ShareView(Struct, frozen=True, omit_defaults=True):
    """One link. ``url`` is told once, when it is made: it is kept nowhere."""

    id: str
    project: str
    label: str
    state: str
    created_at: str
    expires_at: str
    created_by: str
    revoked_at: str | None
    url: str | UnsetType = UNSET


class ShareList(Struct, frozen=True):
    """All links, newest first."""

    shares: list[ShareView]


async def listing(request: web.Request) -> web.Response:
    """``GET /api/shares?project=&limit=``"""
    parameters, runtime = Parameters(request, "project", "limit"), request.app[RUNTIME]
    rows = runtime.shares.of(parameters.project(runtime))[: parameters.limit()]
    return answer(ShareList([share_view(runtime, row) for row in rows]))


async def create(request: web.Request) -> web.Response:
    """``POST /api/shares``"""
    Parameters(request)
    runtime, wanted = request.app[RUNTIME], await json_body(request, Wanted)
    row = await shares.create(runtime, request[VISITOR].actor, wanted.project, wanted.days, wanted.label)
    return answer(share_view(runtime, row, url_of(request, row)), 201)


async def revoke(request: web.Request) -> web.Response:
    """``DELETE /api/shares/{id}``"""
    Parameters(request)
    runtime = request.app[RUNTIME]
    return answer(share_view(runtime, await shares.revoke(runtime, request[VISITOR].actor, request.match_info["id"])))


def url_of(request: web.Request, row: ShareRow) -> str:
    """Return a link's address: at the public address, where there is one."""
    runtime = request.app[RUNTIME]
    base = runtime.loaded.config.serve.public_url or f"{scheme_of(request)}://{request.host}"
    return f"{base.rstrip('/')}/share/{runtime.shares.token(row)}"


def share_view(runtime: Runtime, row: ShareRow, url: str | UnsetType = UNSET) -> ShareView:
    """Put a link in its outside form."""
    state = "valid" if runtime.shares.is_valid(row) else "revoked" if row.revoked_ns is not None else "expired"
    revoked_at = None if row.revoked_ns is None else iso_utc(row.revoked_ns)
    return ShareView(
        row.id, row.project, row.label, state, iso_utc(row.created_ns), iso_utc(row.expires_ns), row.created_by,
        revoked_at, url,
    )  # fmt: skip

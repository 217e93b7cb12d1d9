"""Share links: ``GET`` and ``POST /api/shares``, ``DELETE /api/shares/{id}``."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from msgspec import UNSET, Meta, Struct, UnsetType

from voicegw_sidecar.api.answers import RUNTIME, VISITOR, IsoUtc, iso_utc, scheme_of
from voicegw_sidecar.api.body import JsonBody
from voicegw_sidecar.api.described import described
from voicegw_sidecar.api.parameters import LIMIT, PROJECT, Parameters
from voicegw_sidecar.errors import BadRequest, NotFound, StoreFailed, UnknownProject
from voicegw_sidecar.operating import shares
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.shares import DAYS_DEFAULT, DAYS_MOST, LABEL_CHARS
from voicegw_sidecar.store.operator_records import ShareRow


class WantedShare(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /api/shares``."""

    project: str
    days: Annotated[int, Meta(ge=1, le=DAYS_MOST, description=f"a whole number from 1 to {DAYS_MOST}")] = DAYS_DEFAULT
    label: Annotated[str, Meta(max_length=LABEL_CHARS, description=f"at most {LABEL_CHARS} characters on one line")] = (
        ""
    )


class ShareView(Struct, frozen=True, omit_defaults=True):
    """One link. ``url`` is told once, when it is made: it is kept nowhere."""

    id: str
    project: str
    label: str
    state: str
    created_at: IsoUtc
    expires_at: IsoUtc
    created_by: str
    revoked_at: IsoUtc | None
    url: str | UnsetType = UNSET


class ShareList(Struct, frozen=True):
    """All links, newest first."""

    shares: list[ShareView]


@described("Share links, newest first.", query=(PROJECT, LIMIT), answers=ShareList, refuses=(UnknownProject,))
async def listing(request: web.Request, asked: Parameters) -> ShareList:
    """``GET /api/shares``"""
    runtime = request.app[RUNTIME]
    rows = runtime.shares.of(asked.project(runtime))[: asked.read(LIMIT)]
    return ShareList([share_view(runtime, row) for row in rows])


@described(
    "Make a share link to one project; its `url` is told this once.", body=JsonBody(WantedShare), answers=ShareView,
    status=201, refuses=(UnknownProject, BadRequest, StoreFailed),
)  # fmt: skip
async def create(request: web.Request, asked: Parameters, wanted: WantedShare) -> ShareView:
    """``POST /api/shares``"""
    runtime = request.app[RUNTIME]
    row = await shares.create(runtime, request[VISITOR].actor, wanted.project, wanted.days, wanted.label)
    return share_view(runtime, row, url_of(request, row))


@described("End a share link; a second time changes nothing.", id_of="share link", answers=ShareView,
           refuses=(NotFound, StoreFailed))  # fmt: skip
async def revoke(request: web.Request, asked: Parameters) -> ShareView:
    """``DELETE /api/shares/{id}``"""
    runtime = request.app[RUNTIME]
    return share_view(runtime, await shares.revoke(runtime, request[VISITOR].actor, request.match_info["id"]))


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

"""``/projects/{id}/links``: the share links of a project, made and revoked. A new link is shown once."""

from __future__ import annotations

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.shares import ShareView, share_view, url_of
from voicegw_sidecar.api.upload import read_fields
from voicegw_sidecar.config import Project
from voicegw_sidecar.errors import BadRequest, NotFound, SidecarError
from voicegw_sidecar.operating import shares
from voicegw_sidecar.shares import DAYS_DEFAULT, DAYS_MOST
from voicegw_sidecar.web.chrome import Choice, address, choice_of, chrome_of
from voicegw_sidecar.web.render import draw, see_other
from voicegw_sidecar.web.visit import Visit, only_admins, own_project, visit


class LinksPage(Struct, frozen=True):
    """What the page shows; ``made`` is the address of a link that was just made."""

    choice: Choice
    links: list[ShareView]
    made: str | None
    error: str | None
    days: int = DAYS_DEFAULT
    days_most: int = DAYS_MOST


async def links(request: web.Request) -> web.Response:
    """``GET /projects/{id}/links``"""
    seen = visit(request)
    only_admins(seen)
    return await _page(seen, own_project(seen), None, None, 200)


async def create(request: web.Request) -> web.Response:
    """``POST /projects/{id}/links`` with the fields ``days`` and ``label``"""
    seen = visit(request)
    only_admins(seen)
    project, sent = own_project(seen), await read_fields(request)
    days, label = sent.get("days", ""), sent.get("label", "").strip()
    try:
        if not (days.isascii() and days.isdigit() and len(days) < 6):
            raise BadRequest(f"days: expected a whole number from 1 to {DAYS_MOST}")
        row = await shares.create(seen.runtime, seen.visitor.actor, project.id, int(days), label)
    except SidecarError as error:
        if error.status >= 500:
            raise
        return await _page(seen, project, None, error.message, error.status)
    return await _page(seen, project, url_of(request, row), None, 201)


async def revoke(request: web.Request) -> web.Response:
    """``POST /projects/{id}/links/{share}/revoke``"""
    seen = visit(request)
    only_admins(seen)
    project, share_id = own_project(seen), request.match_info["share"]
    if seen.runtime.shares.one(share_id).project != project.id:
        raise NotFound("no such share link is here")
    await shares.revoke(seen.runtime, seen.visitor.actor, share_id)
    return see_other(address(f"/projects/{project.id}/links", {"project": seen.project_id}))


async def _page(seen: Visit, project: Project, made: str | None, error: str | None, status: int) -> web.Response:
    shown = [share_view(seen.runtime, row) for row in seen.runtime.shares.of(project.id)[:200]]
    page = LinksPage(choice_of(project), shown, made, error)
    return await draw(seen.request, seen.runtime, "pages/links.html", chrome_of(seen, "/projects"), page, status)

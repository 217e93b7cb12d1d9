"""A project's look: its logo and stylesheet as files, and the form that changes them, ``/projects/{id}/brand``."""

from __future__ import annotations

import asyncio
import re

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.upload import read_form
from voicegw_sidecar.branding import accent_css
from voicegw_sidecar.branding.logo import LIMIT_BYTES, LIMIT_PX
from voicegw_sidecar.brands import CONTENT_TYPES
from voicegw_sidecar.config import Project
from voicegw_sidecar.errors import BadRequest, NotFound, SidecarError
from voicegw_sidecar.operating import brands
from voicegw_sidecar.store.operator_records import BrandRow
from voicegw_sidecar.web.chrome import Choice, Look, address, choice_of, chrome_of, look_of
from voicegw_sidecar.web.render import draw, see_other
from voicegw_sidecar.web.visit import Visit, only_admins, own_project, visit

LOGO_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, max-age=300",
    "Vary": "Cookie, Authorization",
}
"""A logo is somebody's upload: even opened by itself it may run nothing and load nothing."""
_FILE = re.compile(r"([a-z0-9][a-z0-9_-]{0,63})\.(png|svg)")
_STYLESHEET = re.compile(r"([a-z0-9][a-z0-9_-]{0,63})\.css")


class BrandPage(Struct, frozen=True):
    """The form: what was set at run time, what shows now, and what was wrong with what was sent."""

    choice: Choice
    row: BrandRow
    look: Look
    product_name: str
    accent_color: str
    error: str | None
    limit_kb: int = LIMIT_BYTES // 1024
    limit_px: int = LIMIT_PX


async def logo(request: web.Request) -> web.Response:
    """``GET /static/branding/{project}.{png|svg}``"""
    seen = visit(request, "v")
    project, extension = _named(seen, _FILE)
    named = seen.runtime.brands.of(project).logo
    if named is None or named.extension != extension:
        raise NotFound("nothing is at this address")
    content = await asyncio.to_thread(seen.runtime.brands.read, project.id)
    if content is None:
        raise NotFound("nothing is at this address")
    return web.Response(body=content, content_type=CONTENT_TYPES[extension], headers=LOGO_HEADERS)


async def stylesheet(request: web.Request) -> web.Response:
    """``GET /brand/{project}.css``: the project's accent, readable in both schemes"""
    seen = visit(request, "v")
    project, _ = _named(seen, _STYLESHEET)
    accent = seen.runtime.brands.of(project).accent_color
    if accent is None:
        raise NotFound("nothing is at this address")
    headers = {name: value for name, value in LOGO_HEADERS.items() if name != "Content-Security-Policy"}
    return web.Response(text=accent_css(accent), content_type="text/css", headers=headers)


def _named(seen: Visit, pattern: re.Pattern[str]) -> tuple[Project, str]:
    match = pattern.fullmatch(seen.request.match_info["file"])
    project = None if match is None else seen.runtime.catalog.projects.get(match[1])
    if match is None or project is None or seen.visitor.project not in (None, project.id):
        raise NotFound("nothing is at this address")
    return project, match[2] if pattern.groups > 1 else "css"


async def form(request: web.Request) -> web.Response:
    """``GET /projects/{id}/brand``"""
    seen = visit(request)
    only_admins(seen)
    return await _form(seen, own_project(seen), None, {}, 200)


async def change(request: web.Request) -> web.Response:
    """``POST /projects/{id}/brand`` with the fields ``product_name``, ``accent_color``, ``logo`` and ``action``"""
    seen = visit(request)
    only_admins(seen)
    project = own_project(seen)
    sent = await read_form(request, LIMIT_BYTES)
    try:
        await _apply(seen, project, sent.fields, sent.files.get("logo"))
    except SidecarError as error:
        if error.status >= 500:
            raise
        return await _form(seen, project, error.message, sent.fields, error.status)
    return see_other(address("/projects", {"project": seen.project_id}))


async def _apply(seen: Visit, project: Project, fields: dict[str, str], file: bytes | None) -> None:
    runtime, actor = seen.runtime, seen.visitor.actor
    action = fields.get("action", "save")
    if action == "clear":
        await brands.clear(runtime, actor, project.id)
        return
    if action != "save":
        raise BadRequest("action: expected save or clear")
    changes: dict[str, object] = {
        name: fields.get(name, "").strip() or None for name in ("product_name", "accent_color")
    }
    if fields.get("remove_logo"):
        changes["logo_url"] = None
    brands.check(changes)  # before the logo is stored: a form is taken as a whole or not at all
    if file:
        await brands.set_logo(runtime, actor, project.id, file)
        changes.pop("logo_url", None)
    await brands.merge(runtime, actor, project.id, changes)


async def _form(seen: Visit, project: Project, error: str | None, sent: dict[str, str], status: int) -> web.Response:
    row = seen.runtime.brands.row(project.id)
    page = BrandPage(
        choice=choice_of(project),
        row=row,
        look=look_of(project, seen.runtime.brands.of(project)),
        product_name=sent.get("product_name", row.product_name or ""),
        accent_color=sent.get("accent_color", row.accent_color or ""),
        error=error,
    )
    template = "parts/brand.html" if seen.is_part else "pages/brand.html"
    return await draw(seen.request, seen.runtime, template, chrome_of(seen, "/projects"), page, status)

"""Renders pages beside the calls: query and template run in a process of their own, never on the event loop.

Without that process, as in tests and where it has ended, they run on a reader thread.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from typing import Concatenate, ParamSpec

import aiohttp_jinja2
import apsw
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.web.chrome import Chrome, chrome_of
from voicegw_sidecar.web.page_process import Job, PageProcess, ProcessGone, carried_out
from voicegw_sidecar.web.templates import options, prepare
from voicegw_sidecar.web.visit import Visit

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "HX-Request, Cookie",
}
PAGES = web.AppKey("pages", PageProcess)

P = ParamSpec("P")
Build = Callable[Concatenate[apsw.Connection, P], Struct]
"""Asks the database and returns what a template shows: a function of a module, with plain values as arguments."""


def set_up(app: web.Application, zone: tzinfo) -> None:
    """Give the application its templates; times are shown in ``zone``."""
    prepare(aiohttp_jinja2.setup(app, **options()), zone)


async def show(
    seen: Visit, template: str, home: str, build: Build[P], *args: P.args, **kwargs: P.kwargs
) -> web.Response:
    """Render a page, or the part of it that a template stands for."""
    assert not kwargs
    job = Job(template, chrome_of(seen, home), build, args)
    return html(await _carried_out(seen.request, seen.runtime, job))


async def draw(
    request: web.Request, runtime: Runtime, template: str, chrome: Chrome | None, page: Struct, status: int = 200
) -> web.Response:
    """Render a page that asks nothing of the database."""
    return html(await _carried_out(request, runtime, Job(template, chrome, _given, (page,))), status)


async def content(
    request: web.Request, runtime: Runtime, build: Callable[Concatenate[apsw.Connection, P], bytes],
    *args: P.args, **kwargs: P.kwargs,
) -> bytes:  # fmt: skip
    """Return what a function makes of the database: a file to download."""
    assert not kwargs
    return await _carried_out(request, runtime, Job(None, None, build, args))


def _given(connection: apsw.Connection, page: Struct) -> Struct:
    return page


async def _carried_out(request: web.Request, runtime: Runtime, job: Job) -> bytes:
    pages = request.app.get(PAGES)
    if pages is not None:
        try:
            return await pages.carry_out(job, str(runtime.store.path), runtime.loaded.config.timezone)
        except ProcessGone:
            pass  # said in the log when it ended
    return await runtime.store.read(carried_out, aiohttp_jinja2.get_env(request.app), job)


def html(body: bytes, status: int = 200) -> web.Response:
    """Return a page with the headers that every page has."""
    return web.Response(status=status, body=body, content_type="text/html", charset="utf-8", headers=PAGE_HEADERS)


def see_other(location: str) -> web.Response:
    """Send the browser to another page after a form."""
    return web.Response(status=303, headers={**PAGE_HEADERS, "Location": location})

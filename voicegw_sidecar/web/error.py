"""An error as a page: one clear line and the way on. Somebody who has to sign in is sent to where they can."""

from __future__ import annotations

import apsw
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME
from voicegw_sidecar.errors import SidecarError, Unauthorized
from voicegw_sidecar.web.chrome import address
from voicegw_sidecar.web.render import PAGE_HEADERS, draw, see_other

_TITLES = {
    400: "That was not understood", 401: "Sign in first", 403: "Not allowed", 404: "Not here",
    409: "That is taken", 413: "Too large", 421: "Another host was meant", 429: "Slow down",
    503: "Not at the moment",
}  # fmt: skip


class ErrorPage(Struct, frozen=True):
    """What went wrong, in words; never of any project."""

    status: int
    title: str
    message: str


async def error_page(request: web.Request, error: SidecarError) -> web.Response:
    """Word an error for somebody at a browser; a script sees by the header which it was."""
    is_browser = request.method in ("GET", "HEAD") and "Authorization" not in request.headers
    if isinstance(error, Unauthorized) and is_browser and request.app[RUNTIME].access.has_keys:
        target = address("/login", {"next": request.rel_url.raw_path_qs if request.path != "/" else None})
        if request.headers.get("HX-Request") == "true":  # a part of a page cannot be the sign-in page
            response = web.Response(status=401, headers={**PAGE_HEADERS, "HX-Redirect": "/login"})
        else:
            response = see_other(target)
    else:
        title = _TITLES.get(error.status, "Something went wrong")
        response = await _drawn(request, ErrorPage(error.status, title, error.message))
    response.headers["X-VoiceGW-Error"] = error.code
    response.headers.extend(error.headers)
    if not error.retry_helps:
        response.headers["x-should-retry"] = "false"
    return response


async def _drawn(request: web.Request, page: ErrorPage) -> web.Response:
    try:
        return await draw(request, request.app[RUNTIME], "pages/error.html", None, page, page.status)
    except (SidecarError, apsw.Error):  # what keeps a page from being drawn keeps this one too
        text = f"{page.title}: {page.message}\n"
        return web.Response(status=page.status, text=text, headers=PAGE_HEADERS)

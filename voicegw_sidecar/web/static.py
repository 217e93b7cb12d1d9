"""The sidecar's own static files: read once, served from memory by exact name, to anyone."""

from __future__ import annotations

import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from voicegw_sidecar.errors import NotFound

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def static_handler(root: Path) -> Handler:
    """Return the handler of ``/static/{name}``: no path is ever joined from a request."""
    files = {
        file.relative_to(root).as_posix(): (file.read_bytes(), mimetypes.guess_type(file.name)[0])
        for file in sorted(root.rglob("*"))
        if file.is_file() and not file.name.startswith(".")
    }

    async def static(request: web.Request) -> web.StreamResponse:
        found = files.get(request.match_info["name"])
        if found is None:
            raise NotFound("no such static file")
        body, content_type = found
        return web.Response(
            body=body,
            content_type=content_type or "application/octet-stream",
            headers={"Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff"},
        )

    return static

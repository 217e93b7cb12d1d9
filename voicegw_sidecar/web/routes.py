"""The table of contents of the pages."""

from __future__ import annotations

from aiohttp import web

from voicegw_sidecar.resources import assets
from voicegw_sidecar.web import overview
from voicegw_sidecar.web.static import static_handler


def page_routes() -> list[web.RouteDef]:
    """Pages; they need a key where one is configured."""
    return [web.get("/", overview.overview)]


def static_routes() -> list[web.RouteDef]:
    """Files for anyone."""
    return [web.get("/static/{name:.+}", static_handler(assets() / "static"))]

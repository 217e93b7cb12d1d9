"""The table of contents of the pages."""

from __future__ import annotations

from aiohttp import web

from voicegw_sidecar.resources import assets
from voicegw_sidecar.web import (
    brand,
    costs,
    door,
    logs,
    overview,
    project_form,
    projects,
    routing,
    session,
    sessions,
    share_links,
)
from voicegw_sidecar.web.static import static_handler


def page_routes() -> list[web.RouteDef]:
    """Pages; they need a key, a signed-in browser or a share link where a key is configured."""
    return [
        web.get("/", overview.overview),
        web.get("/sessions", sessions.sessions),
        web.get("/sessions/{id}", session.session),
        web.get("/routing", routing.routing),
        web.get("/projects", projects.projects),
        web.get("/projects/new", project_form.new),
        web.post("/projects/new", project_form.create),
        web.get("/projects/{id}/edit", project_form.edit),
        web.post("/projects/{id}/edit", project_form.change),
        web.get("/projects/{id}/delete", project_form.ask_delete),
        web.post("/projects/{id}/delete", project_form.delete),
        web.get("/projects/{id}/brand", brand.form),
        web.post("/projects/{id}/brand", brand.change),
        web.get("/projects/{id}/links", share_links.links),
        web.post("/projects/{id}/links", share_links.create),
        web.post("/projects/{id}/links/{share}/revoke", share_links.revoke),
        web.get("/costs", costs.costs),
        web.get("/costs/export.csv", costs.export),
        web.get("/logs", logs.logs),
        web.get("/logs/changes", logs.changes),
    ]


def brand_routes() -> list[web.RouteDef]:
    """A project's logo and colours, for whoever may see its pages."""
    return [
        web.get("/static/branding/{file}", brand.logo),
        web.get("/brand/{file}", brand.stylesheet),
    ]


def door_routes() -> list[web.RouteDef]:
    """Ways in and out, for anyone."""
    return [
        web.get("/login", door.login),
        web.post("/login", door.sign_in),
        web.post("/logout", door.sign_out),
        web.get("/share/{token}", door.share),
    ]


def static_routes() -> list[web.RouteDef]:
    """Files for anyone."""
    return [web.get("/static/{name:.+}", static_handler(assets() / "static"))]

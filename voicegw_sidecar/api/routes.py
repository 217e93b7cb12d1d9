"""The table of contents of the control plane."""

from __future__ import annotations

from aiohttp import web

from voicegw_sidecar.api import (
    branding,
    changes,
    costs,
    health,
    logs,
    managed_projects,
    metrics,
    openapi,
    projects,
    routing,
    sessions,
    shares,
    status,
)


def open_routes() -> list[web.RouteDef]:
    """Routes for anyone: orchestrators ask without a key."""
    return [web.get("/health", health.health), web.get("/ready", health.ready)]


def api_routes() -> list[web.RouteDef]:
    """Routes that need a key where one is configured."""
    return [
        web.get("/metrics", metrics.metrics),
        web.get("/v1/openapi.json", openapi.openapi),
        web.get("/v1/status", status.status),
        web.get("/v1/costs", costs.period_costs),
        web.get("/v1/costs/daily", costs.daily_costs),
        web.get("/v1/logs", logs.logs),
        web.get("/v1/projects", projects.projects),
        web.post("/v1/projects", managed_projects.create),
        web.get("/v1/projects/{id}", projects.project),
        web.patch("/v1/projects/{id}", managed_projects.patch),
        web.delete("/v1/projects/{id}", managed_projects.delete),
        web.get("/v1/sessions", sessions.listing),
        web.get("/v1/changes", changes.changes),
        web.get("/api/routing", routing.routing),
        web.get("/api/routing/simulate", routing.simulate),
        web.get("/api/projects/{id}/branding", branding.show),
        web.post("/api/projects/{id}/branding", branding.merge),
        web.delete("/api/projects/{id}/branding", branding.clear),
        web.post("/api/projects/{id}/branding/logo", branding.set_logo),
        web.get("/api/shares", shares.listing),
        web.post("/api/shares", shares.create),
        web.delete("/api/shares/{id}", shares.revoke),
    ]


def agent_routes() -> list[web.RouteDef]:
    """Routes that take a project's agent key as well."""
    return [
        web.post("/v1/sessions", sessions.begin),
        web.get("/v1/sessions/{id}", sessions.one),
        web.post("/v1/sessions/{id}/close", sessions.close),
    ]

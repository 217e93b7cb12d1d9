"""How the sidecar, its projects and their spend stand: ``health``, ``projects`` and ``costs``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from voicegw_sidecar.control_client import ControlClient, path_of, told
from voicegw_sidecar.errors import UnknownProject
from voicegw_sidecar.mcp.told import Costs, DayCost, Liveness, Projects, Readiness, Status, fetch
from voicegw_sidecar.mcp.tool import Answer, ProjectId, Tool
from voicegw_sidecar.mcp.untrusted import named, safe, shown

_UNREADY = 503


class NoArguments(Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that takes none."""


class OneProject(Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that tells of all projects, or of one."""

    project: ProjectId | None = None


class CostsAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked of costs."""

    period: Literal["today", "week", "month", "all"] = "today"
    project: ProjectId | None = None
    daily_days: Annotated[int, Meta(ge=1, le=3660, description="adds the spend of each of so many days")] | None = None


def health(client: ControlClient, _: NoArguments) -> Answer:
    """Ask for liveness, readiness and status."""
    alive = fetch(client, "/health", Liveness)
    ready = fetch(client, "/ready", Readiness, also=_UNREADY)
    status = fetch(client, "/v1/status", Status)
    content: dict[str, Any] = {"health": safe(alive), "readiness": safe(ready), "status": safe(status)}
    stands, counts, database = content["status"], told(content, "status", "counts"), told(content, "status", "database")
    configured = [one["provider"] for one in told(stands, "providers") if one.get("configured")]
    lines = [
        f"Alive: {shown(content['health'])}.",
        f"Readiness: {shown(told(content, 'readiness', 'status'))}; "
        f"reasons: {shown(told(content, 'readiness', 'reasons'))}.",
        f"There are: {shown(counts)}.",
        f"Providers configured: {shown(configured)}.",
        f"Database: {shown(database)}.",
        f"Fault of the configuration file: {named('config_error', stands.get('config_error'))}.",
        f"Projects that are not in force: {shown(stands.get('projects_not_in_force') or [])}.",
    ]
    return Answer("\n".join(lines), content)


def projects(client: ControlClient, asked: OneProject) -> Answer:
    """Ask for projects and their day so far."""
    found = fetch(client, "/v1/projects", Projects)
    days = told(found, "stats")
    entries = [
        {"project": one["id"], **{name: value for name, value in one.items() if name != "id"},
         "today": days.get(one["id"])}
        for one in told(found, "projects")
        if asked.project in (None, one["id"])
    ]  # fmt: skip
    if asked.project is not None and not entries:
        raise UnknownProject(f"project: found {asked.project!r}, expected a configured project")
    content = {"projects": safe(entries)}
    return Answer("\n".join(shown(one) for one in content["projects"]), content)


def costs(client: ControlClient, asked: CostsAsked) -> Answer:
    """Ask for the spend of a period, and of single days."""
    query = {"period": asked.period, "project": asked.project}
    content = safe(fetch(client, path_of("v1", "costs", query=query), Costs))
    lines = [
        f"{asked.period}, {asked.project or 'all projects'}: {shown(content['total_usd'])} USD, "
        f"{content['requests']} requests; exchanges without a known price, counted as any other: "
        f"{content['unpriced']}, and what they cost is in no sum."
    ]
    for name in ("by_provider", "by_model", "by_modality", "by_project"):
        lines += [f"{name}: {shown(one)}" for one in told(content, name)]
    if asked.daily_days is not None:
        query = {"days": str(asked.daily_days), "project": asked.project}
        content["daily"] = safe(fetch(client, path_of("v1", "costs", "daily", query=query), list[DayCost]))
        lines += [f"daily: {shown(one)}" for one in content["daily"]] or ["daily: nothing was spent"]
    return Answer("\n".join(lines), content)


TOOLS = (
    Tool(
        "health", "Health of the sidecar",
        "Whether the sidecar is alive and ready, why it is not, its version, providers, counts, prices and database.",
        NoArguments, health,
    ),
    Tool(
        "projects", "Projects and their day",
        "Projects with budget, routing and tags, and how each one's day stands. Never a key.",
        OneProject, projects,
    ),
    Tool(
        "costs", "What was spent",
        "Spend of a calendar period, by provider, model, modality and project. Requests without a known price are "
        "counted as requests; what they cost is in no sum.",
        CostsAsked, costs,
    ),
)  # fmt: skip

"""Projects and how they stand today: ``GET /v1/projects`` and ``GET /v1/projects/{id}``. Changing them is elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME, usd
from voicegw_sidecar.api.described import described
from voicegw_sidecar.api.parameters import Parameters
from voicegw_sidecar.budgets import Standing
from voicegw_sidecar.config.catalog import Catalog, accent_for
from voicegw_sidecar.config.schema import Project
from voicegw_sidecar.errors import StoreFailed, UnknownProject
from voicegw_sidecar.ledger.budget import budget_status
from voicegw_sidecar.ledger.calendar import period_days
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.queries import costs
from voicegw_sidecar.terms import BudgetStatus, RoutingPolicy

NO_STANDINGS: Mapping[str, Standing] = MappingProxyType({})


class RosterView(Struct, frozen=True):
    """The candidates of each modality, as written."""

    stt: list[str]
    llm: list[str]
    tts: list[str]


class RoutingView(Struct, frozen=True):
    """A project's routing settings."""

    budget_ms: int
    fallback_to_fastest: bool
    failover: bool
    policy: RoutingPolicy
    rosters: RosterView


class ProjectView(Struct, frozen=True):
    """A project without any key."""

    id: str
    name: str
    description: str
    daily_budget: float | None
    budget_action: str
    tags: list[str]
    accent: str
    source: str
    routing: RoutingView
    providers: list[str]
    agent_keys: int


class ProjectStats(Struct, frozen=True):
    """A project's day so far. ``in_flight_usd`` is what open exchanges hold; null where no sidecar was asked."""

    requests_today: int
    cost_today_usd: float
    budget_status: str
    in_flight_usd: float | None


class Projects(Struct, frozen=True):
    """All projects and their day so far."""

    projects: list[ProjectView]
    stats: dict[str, ProjectStats]


@described("All projects, and how their day stands.", answers=Projects, refuses=(StoreFailed,))
async def projects(request: web.Request, asked: Parameters) -> Projects:
    """``GET /v1/projects``"""
    return await projects_of(request.app[RUNTIME])


@described("One project, without any key.", id_of="project", answers=ProjectView, refuses=(UnknownProject,))
async def project(request: web.Request, asked: Parameters) -> ProjectView:
    """``GET /v1/projects/{id}``"""
    return project_view(request.app[RUNTIME].catalog.project(request.match_info["id"]))


async def projects_of(runtime: Runtime) -> Projects:
    """Return every project with today's figures."""
    first, last = period_days("today", runtime.clock.wall_ns(), runtime.zone)
    found = await runtime.store.read(costs.spending, first, last, None)
    standings = {project_id: runtime.budgets.standing(project_id) for project_id in runtime.catalog.projects}
    return projects_answer(runtime.catalog, found, standings)


def projects_answer(
    catalog: Catalog, today: costs.Spending, standings: Mapping[str, Standing] = NO_STANDINGS
) -> Projects:
    """Join projects with what they spent today; the command line, which has no ``standings``, prints the same."""
    nothing = costs.Entry(0, 0, 0)
    return Projects(
        [project_view(project) for project in catalog.projects.values()],
        {
            project.id: _stats(project, today.by_project.get(project.id, nothing), standings.get(project.id))
            for project in catalog.projects.values()
        },
    )


def project_view(project: Project) -> ProjectView:
    """Put a project in its outside form."""
    routing = project.routing
    rosters = RosterView(*([str(entry) for entry in getattr(routing.rosters, name)] for name in ("stt", "llm", "tts")))
    return ProjectView(
        id=project.id,
        name=project.title,
        description=project.description,
        daily_budget=usd(project.daily_budget_nanousd),
        budget_action=project.budget_action,
        tags=list(project.tags),
        accent=accent_for(project.tags),
        source="db" if project.is_managed else "yaml",
        routing=RoutingView(routing.budget_ms, routing.fallback_to_fastest, routing.failover, routing.policy, rosters),
        providers=sorted(project.providers),
        agent_keys=len(project.agent_keys) + len(project.agent_key_envs),
    )


def _stats(project: Project, today: costs.Entry, standing: Standing | None) -> ProjectStats:
    """Judge by the running sidecar's own count, which knows rows that still wait for the disk."""
    spent_nanousd = today.nanousd if standing is None else standing.spent_nanousd
    budget_nanousd, status = project.daily_budget_nanousd, BudgetStatus.OK
    if budget_nanousd is not None:
        status = budget_status(spent_nanousd, budget_nanousd)
    in_flight_usd = None if standing is None else usd(standing.in_flight_nanousd)
    return ProjectStats(today.requests, spent_nanousd / 1e9, status, in_flight_usd)

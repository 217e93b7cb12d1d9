"""``/projects``: a card for each project: how its day stands, its look, and what may be done with it."""

from __future__ import annotations

import apsw
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.config import Project
from voicegw_sidecar.config.schema import BUILTIN_PROJECT
from voicegw_sidecar.ledger.calendar import period_days
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.queries import costs
from voicegw_sidecar.web.chrome import Choice, Look, choice_of, look_of
from voicegw_sidecar.web.overview import status_of
from voicegw_sidecar.web.render import show
from voicegw_sidecar.web.visit import visit


class Card(Struct, frozen=True):
    """One project; ``is_managed`` says that it was made here and may be changed here."""

    choice: Choice
    description: str
    tags: tuple[str, ...]
    look: Look
    has_brand: bool
    spent_nanousd: int
    requests: int
    unpriced: int
    budget_nanousd: int | None
    budget_percent: int | None
    action: str
    status: str
    rosters: dict[str, list[str]]
    budget_ms: int
    is_managed: bool
    links: int


CARDS = 60


class ProjectsPage(Struct, frozen=True):
    """What the page shows; ``not_in_force`` are projects made here that cannot be, and why."""

    cards: list[Card]
    first: int
    next: int | None
    day: str
    not_in_force: dict[str, str]


async def projects(request: web.Request) -> web.Response:
    """``GET /projects?project=&first=``"""
    seen = visit(request, "first")
    first_card = seen.parameters.whole("first", 0, 0, 100_000)
    runtime = seen.runtime
    first, today = period_days("today", runtime.clock.wall_ns(), runtime.zone)
    listed = [seen.project] if seen.project is not None else _default_last(runtime)
    has_more = len(listed) > first_card + CARDS
    listed = listed[first_card : first_card + CARDS]
    standings = {project.id: runtime.budgets.standing(project.id).spent_nanousd for project in listed}
    links = {one.id: sum(map(runtime.shares.is_valid, runtime.shares.of(one.id))) for one in listed}
    shadowed = dict.fromkeys(runtime.judged.shadowed, "the configuration file has one of this id, which is in force")
    not_in_force = {} if seen.is_shared or seen.project is not None else {**shadowed, **runtime.judged.faults}

    def build(connection: apsw.Connection) -> ProjectsPage:
        spent = costs.spending(connection, first, today, seen.project_id)
        nothing = costs.Entry(0, 0, 0)
        cards = []
        for project in listed:
            entry = spent.by_project.get(project.id, nothing)
            spent_nanousd = max(entry.nanousd, standings[project.id])
            cards.append(_card(project, entry, spent_nanousd, links[project.id], look_of(project, brands[project.id])))
        return ProjectsPage(cards, first_card, first_card + CARDS if has_more else None, today, not_in_force)

    brands = {project.id: runtime.brands.of(project) for project in listed}
    return await show(seen, "pages/projects.html", build, home="/projects")


def _default_last(runtime: Runtime) -> list[Project]:
    """Return all projects; the built-in one, which is there for calls that name none, last."""
    return sorted(runtime.catalog.projects.values(), key=lambda one: one.id == BUILTIN_PROJECT)


def _card(project: Project, entry: costs.Entry, spent_nanousd: int, links: int, look: Look) -> Card:
    budget_nanousd = project.daily_budget_nanousd
    rosters = project.routing.rosters
    return Card(
        choice=choice_of(project), description=project.description, tags=project.tags, look=look,
        has_brand=look != Look(), spent_nanousd=spent_nanousd, requests=entry.requests, unpriced=entry.unpriced,
        budget_nanousd=budget_nanousd,
        budget_percent=None if not budget_nanousd else spent_nanousd * 100 // budget_nanousd,
        action=project.budget_action.value, status=status_of(spent_nanousd, budget_nanousd),
        rosters={name: [str(one) for one in getattr(rosters, name)] for name in ("stt", "llm", "tts")},
        budget_ms=project.routing.budget_ms, is_managed=project.is_managed, links=links,
    )  # fmt: skip

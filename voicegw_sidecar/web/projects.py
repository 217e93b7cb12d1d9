"""``/projects``: a card for each project: how its day stands, its look, and what may be done with it."""

from __future__ import annotations

import apsw
from aiohttp import web
from msgspec import Struct
from msgspec.structs import replace

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
    shadowed = dict.fromkeys(runtime.judged.shadowed, "the configuration file has one of this id, which is in force")
    not_in_force = {} if seen.is_shared or seen.project is not None else {**shadowed, **runtime.judged.faults}

    cards = [_card(runtime, one) for one in listed]
    listing = (cards, first_card, first_card + CARDS if has_more else None)
    return await show(
        seen, "pages/projects.html", "/projects", build, seen.project_id, (first, today), listing, not_in_force
    )


def build(
    connection: apsw.Connection, project: str | None, days: tuple[str | None, str],
    listing: tuple[list[Card], int, int | None], not_in_force: dict[str, str],
) -> ProjectsPage:  # fmt: skip
    """Ask the database what was spent."""
    spent = costs.by_project(connection, *days, project)
    cards, first, following = listing
    shown = [_with_rows(card, spent.get(card.choice.id)) for card in cards]
    return ProjectsPage(shown, first, following, days[1], not_in_force)


def _default_last(runtime: Runtime) -> list[Project]:
    """Return all projects; the built-in one, which is there for calls that name none, last."""
    return sorted(runtime.catalog.projects.values(), key=lambda one: one.id == BUILTIN_PROJECT)


def _card(runtime: Runtime, project: Project) -> Card:
    """Return a project's card by the running sidecar's own count, which knows rows that still wait for the disk."""
    look = look_of(project, runtime.brands.of(project))
    rosters = project.routing.rosters
    card = Card(
        choice=choice_of(project), description=project.description, tags=project.tags, look=look,
        has_brand=look != Look(), spent_nanousd=runtime.budgets.standing(project.id).spent_nanousd,
        requests=0, unpriced=0,
        budget_nanousd=project.daily_budget_nanousd, budget_percent=None, action=project.budget_action.value, status="",
        rosters={name: [str(one) for one in getattr(rosters, name)] for name in ("stt", "llm", "tts")},
        budget_ms=project.routing.budget_ms, is_managed=project.is_managed,
        links=sum(map(runtime.shares.is_valid, runtime.shares.of(project.id))),
    )  # fmt: skip
    return _with_rows(card, None)


def _with_rows(card: Card, entry: costs.Entry | None) -> Card:
    spent_nanousd = card.spent_nanousd if entry is None else max(entry.nanousd, card.spent_nanousd)
    budget_nanousd = card.budget_nanousd
    return replace(
        card, spent_nanousd=spent_nanousd, requests=0 if entry is None else entry.requests,
        unpriced=0 if entry is None else entry.unpriced,
        budget_percent=None if not budget_nanousd else spent_nanousd * 100 // budget_nanousd,
        status=status_of(spent_nanousd, budget_nanousd),
    )  # fmt: skip

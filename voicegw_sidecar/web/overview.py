"""The first page, ``/``: today's spend and budgets, live sessions, the slowest leg now, and what is wrong."""

from __future__ import annotations

import apsw
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.health import readiness_of
from voicegw_sidecar.ids import first_id_at
from voicegw_sidecar.ledger.budget import budget_status
from voicegw_sidecar.ledger.calendar import period_days
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.queries import costs, exchanges
from voicegw_sidecar.store.queries.legs import Leg, legs_now
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.terms import NS_PER_S, ROUTED, Modality
from voicegw_sidecar.web.chrome import Choice, choice_of, listed_projects
from voicegw_sidecar.web.render import show
from voicegw_sidecar.web.visit import Visit, visit

LATEST = 12
LIVE = 10
PROJECTS = 40
NOW_S = 900
"""How far back "now" reaches."""


class ProjectDay(Struct, frozen=True):
    """One project's day; ``budget_percent`` is None without a budget, ``status`` a word of ``/v1/projects``."""

    choice: Choice
    spent_nanousd: int
    requests: int
    budget_nanousd: int | None
    budget_percent: int | None
    action: str
    status: str


class LiveSession(Struct, frozen=True):
    """A session that is open; ``legs`` are provider names, None where nothing was used or picked yet."""

    project: str
    id: str
    started_ns: int
    legs: dict[Modality, str | None]
    running: int


class Overview(Struct, frozen=True):
    """What the page shows."""

    day: str
    total: costs.Entry
    projects: list[ProjectDay]
    live: list[LiveSession]
    live_count: int
    legs: list[Leg]
    latest: list[ExchangeRow]
    problems: list[str]

    @property
    def is_empty(self) -> bool:
        """True where no call has ever come through."""
        return not self.latest and not self.live


class Asked(Struct, frozen=True):
    """What of the page only the event loop knows, and what to ask the database."""

    first_day: str | None
    day: str
    project: str | None
    since_id: str
    projects: list[ProjectDay]
    live: list[LiveSession]
    live_count: int
    problems: list[str]


async def overview(request: web.Request) -> web.Response:
    """``GET /``; asked by htmx, only the part that changes."""
    seen = visit(request)
    runtime, selected = seen.runtime, seen.project_id
    now_ns = runtime.clock.wall_ns()
    first, today = period_days("today", now_ns, runtime.zone)
    live = [one for one in runtime.sessions.all_open() if selected in (None, one.project)]
    newest = sorted(live, key=lambda one: one.started_ns, reverse=True)[:LIVE]
    shown = [
        LiveSession(
            one.project, one.id, one.started_ns, {modality: _leg(one.route.get(modality)) for modality in ROUTED},
            one.running,
        )
        for one in newest
    ]  # fmt: skip
    asked = Asked(
        first_day=first,
        day=today,
        project=selected,
        since_id=first_id_at(now_ns - NOW_S * NS_PER_S),
        projects=_projects(seen),
        live=shown,
        live_count=len(live),
        problems=[] if seen.is_shared else problems_of(runtime),
    )
    return await show(seen, "parts/overview.html" if seen.is_part else "pages/overview.html", "/", build, asked)


def build(connection: apsw.Connection, asked: Asked) -> Overview:
    """Ask the database for the rest."""
    spent = costs.by_project(connection, asked.first_day, asked.day, asked.project)
    entries = spent.values()
    total = costs.Entry(
        sum(one.nanousd for one in entries), sum(one.requests for one in entries), sum(one.unpriced for one in entries)
    )
    return Overview(
        day=asked.day,
        total=total,
        projects=[_with_rows(one, spent.get(one.choice.id)) for one in asked.projects],
        live=asked.live,
        live_count=asked.live_count,
        legs=legs_now(connection, asked.since_id, asked.project),
        latest=exchanges.exchanges(connection, exchanges.Filter(project=asked.project, limit=LATEST)).rows,
        problems=asked.problems,
    )


def problems_of(runtime: Runtime) -> list[str]:
    """Return what an operator has to look at: what ``/ready`` says, and what of the configuration has no effect."""
    found = list(readiness_of(runtime).reasons)
    if runtime.config_error is not None:
        found.append(runtime.config_error)
    logos = [fault.message for fault in runtime.brands.file_logos.faults.values()]
    return [*found, *runtime.judged.faults.values(), *logos]


def _leg(leg: object) -> str | None:
    used = getattr(leg, "used", ())
    return used[0].partition("/")[0] if used else getattr(leg, "provider", None)


def _projects(seen: Visit) -> list[ProjectDay]:
    """Return the projects by the running sidecar's own count, which knows rows that still wait for the disk."""
    runtime = seen.runtime
    found = [seen.project] if seen.project is not None else listed_projects(runtime)[:PROJECTS]
    return [
        _day(choice_of(one), runtime.budgets.standing(one.id).spent_nanousd, 0, one.daily_budget_nanousd,
             one.budget_action.value)
        for one in found
    ]  # fmt: skip


def _with_rows(one: ProjectDay, entry: costs.Entry | None) -> ProjectDay:
    if entry is None:
        return one
    spent_nanousd = max(entry.nanousd, one.spent_nanousd)
    return _day(one.choice, spent_nanousd, entry.requests, one.budget_nanousd, one.action)


def _day(choice: Choice, spent_nanousd: int, requests: int, budget_nanousd: int | None, action: str) -> ProjectDay:
    percent = None if not budget_nanousd else spent_nanousd * 100 // budget_nanousd
    status = status_of(spent_nanousd, budget_nanousd)
    return ProjectDay(choice, spent_nanousd, requests, budget_nanousd, percent, action, status)


def status_of(spent_nanousd: int, budget_nanousd: int | None) -> str:
    """Say how a day stands: the word of ``/v1/projects``."""
    return "unlimited" if budget_nanousd is None else budget_status(spent_nanousd, budget_nanousd)

"""The first page, ``/``: today's spend and the latest exchanges, kept current by polling."""

from __future__ import annotations

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME
from voicegw_sidecar.api.health import readiness_of
from voicegw_sidecar.ledger.calendar import period_days
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.queries import costs, exchanges
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.terms import Usage
from voicegw_sidecar.web.render import page

LATEST = 25


class ProjectSpend(Struct, frozen=True):
    """One project's day; ``budget_percent`` is None without a budget."""

    id: str
    title: str
    spent_nanousd: int
    requests: int
    budget_nanousd: int | None
    budget_percent: int | None


class Overview(Struct, frozen=True):
    """What the page shows."""

    day: str
    timezone: str
    total_nanousd: int
    requests: int
    unpriced: int
    projects: list[ProjectSpend]
    latest: list[ExchangeRow]
    problems: list[str]
    base_url: str


async def overview(request: web.Request) -> web.Response:
    """``GET /``; asked by htmx, only the part that changes."""
    is_poll = request.headers.get("HX-Request") == "true"
    template = "parts/overview.html" if is_poll else "pages/overview.html"
    shown = await overview_of(request.app[RUNTIME], f"{request.scheme}://{request.host}")
    return page(request, template, {"overview": shown, "usage_of": usage_words})


async def overview_of(runtime: Runtime, base_url: str) -> Overview:
    """Collect what the page shows."""
    first, today = period_days("today", runtime.clock.wall_ns(), runtime.zone)
    spent = await runtime.store.read(costs.spending, first, today, None)
    listing = await runtime.store.read(exchanges.exchanges, exchanges.Filter(limit=LATEST))
    readiness = readiness_of(runtime)
    return Overview(
        day=today,
        timezone=runtime.catalog.config.timezone,
        total_nanousd=spent.total.nanousd,
        requests=spent.total.requests,
        unpriced=spent.total.unpriced,
        projects=_projects(runtime, spent),
        latest=listing.rows,
        problems=readiness.reasons,
        base_url=base_url,
    )


def _projects(runtime: Runtime, spent: costs.Spending) -> list[ProjectSpend]:
    shown = []
    for project in runtime.catalog.projects.values():
        entry = spent.by_project.get(project.id, costs.Entry(0, 0, 0))
        if project.id == "default" and not entry.requests and len(runtime.catalog.projects) > 1:
            continue  # the built-in project is only of interest where something used it
        budget = project.daily_budget_nanousd
        percent = None if not budget else entry.nanousd * 100 // budget
        shown.append(ProjectSpend(project.id, project.title, entry.nanousd, entry.requests, budget, percent))
    return shown


def usage_words(usage: Usage) -> str:
    """Say in words what an exchange used."""
    words = []
    if usage.input_tokens is not None or usage.output_tokens is not None:
        sent = "?" if usage.input_tokens is None else f"{usage.input_tokens:,}"
        answered = "?" if usage.output_tokens is None else f"{usage.output_tokens:,}"
        words.append(f"{sent} → {answered} tokens")
    if usage.audio_s is not None:
        words.append(f"{usage.audio_s:.1f} s heard")
    if usage.characters is not None:
        words.append(f"{usage.characters:,} characters")
    if usage.audio_out_s is not None:
        words.append(f"{usage.audio_out_s:.1f} s spoken")
    return ", ".join(words)

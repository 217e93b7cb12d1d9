"""``/routing``: what was observed of each provider, and what the router would pick now and why. Sorted by links."""

from __future__ import annotations

from collections.abc import Callable

import apsw
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME
from voicegw_sidecar.config import Catalog, Project
from voicegw_sidecar.config.schema import Rosters, Routing
from voicegw_sidecar.errors import NoRoute
from voicegw_sidecar.picks import Seen, baselines, counted
from voicegw_sidecar.routing.latency import Key, Latencies, Observed
from voicegw_sidecar.routing.router import Decision, Wish, choose
from voicegw_sidecar.store.queries.latencies import StoredObservation, observations
from voicegw_sidecar.terms import ROUTED, Modality, RoutingPolicy
from voicegw_sidecar.web.chrome import Choice, choice_of, listed_projects
from voicegw_sidecar.web.render import show
from voicegw_sidecar.web.visit import visit

PROJECTS_SHOWN = 12
"""On the page of all projects; the rest is named, a page each."""


class Row(Struct, frozen=True):
    """One provider, or one model of it, in one modality; None is "not observed" or "no baseline"."""

    modality: Modality
    provider: str
    model: str | None
    p50_ms: float | None
    p95_ms: float | None
    samples: int
    baseline_ms: float | None
    is_in_roster: bool


class ProjectRouting(Struct, frozen=True):
    """One project: its rules, what would be picked now or why nothing can be, and the rows in the order asked for."""

    choice: Choice
    budget_ms: int
    has_fallback: bool
    policy: RoutingPolicy
    decision: Decision | None
    no_route: str | None
    rows: list[Row]


class Column(Struct, frozen=True):
    """A column's heading; ``direction`` is what ``aria-sort`` says, None where it is not the one sorted by."""

    key: str
    title: str
    is_number: bool
    direction: str | None
    next_order: str


class RoutingPage(Struct, frozen=True):
    """What the page shows; ``rolled_up_ns`` is None until the first roll-up of this start."""

    sort: str | None
    order: str
    projects: list[ProjectRouting]
    further: list[Choice]
    columns: list[Column]
    rolled_up_ns: int | None
    interval_s: int


_KEYS: dict[str, tuple[str, Callable[[Row], float | str | None]]] = {
    "modality": ("Kind", lambda row: ROUTED.index(row.modality)),
    "provider": ("Provider and model", lambda row: f"{row.provider}/{row.model or ''}"),
    "p50": ("p50, ms", lambda row: row.p50_ms),
    "p95": ("p95, ms", lambda row: row.p95_ms),
    "samples": ("Samples", lambda row: row.samples),
    "baseline": ("Baseline, ms", lambda row: row.baseline_ms),
}
_TEXTS = ("modality", "provider")
ORDERS = ("ascending", "descending")


async def routing(request: web.Request) -> web.Response:
    """``GET /routing?project=&sort=&order=``"""
    seen = visit(request, "sort", "order")
    runtime = request.app[RUNTIME]
    catalog, selected = runtime.catalog, seen.project_id
    key = seen.parameters.choice("sort", tuple(_KEYS))
    order = seen.parameters.choice("order", ORDERS) or "ascending"
    listed = [seen.project] if seen.project is not None else listed_projects(runtime)
    shown = listed[:PROJECTS_SHOWN]
    asked = [_asked(catalog, one, runtime.rollup.seen(one.id)) for one in shown]
    further = [choice_of(one) for one in listed[PROJECTS_SHOWN:]]
    when = (runtime.rollup.rolled_up_ns, runtime.loaded.config.workers.rollup_interval_seconds)
    template = "parts/routing.html" if seen.is_part else "pages/routing.html"
    return await show(
        seen, template, "/routing", build, selected, asked, baselines(catalog), further, (key, order), when
    )


Curated = dict[tuple[Modality, str], float]


class Asked(Struct, frozen=True):
    """One project's rules, and what counts as observed in it."""

    choice: Choice
    routing: Routing
    observed: dict[Key, Observed]


def _asked(catalog: Catalog, project: Project, seen: Seen) -> Asked:
    return Asked(choice_of(project), project.routing, dict(counted(catalog, project.id, seen)))


def build(
    connection: apsw.Connection, project: str | None, asked: list[Asked], curated: Curated, further: list[Choice],
    sort: tuple[str | None, str], when: tuple[int | None, int],
) -> RoutingPage:  # fmt: skip
    """Ask the database for the last roll-up, and the router for what it would pick."""
    found = observations(connection, project)
    return RoutingPage(*sort, [_project(one, found, curated, *sort) for one in asked], further, _columns(*sort), *when)


def _project(
    asked: Asked, found: list[StoredObservation], curated: Curated, key: str | None, order: str
) -> ProjectRouting:
    rules = asked.routing
    rows = rows_of(rules.rosters, [one for one in found if one.project == asked.choice.id], curated)
    decision, no_route = None, None
    rosters = {modality: getattr(rules.rosters, modality.value) for modality in ROUTED}
    wish = Wish(asked.choice.id, rosters, rules.budget_ms, rules.fallback_to_fastest)
    try:
        decision = choose(wish, Latencies(asked.observed, curated))
    except NoRoute as refused:
        no_route = refused.message
    return ProjectRouting(
        asked.choice, rules.budget_ms, rules.fallback_to_fastest, rules.policy, decision, no_route,
        rows=rows if key is None else sorted_by(rows, key, is_descending=order == "descending"),
    )  # fmt: skip


def rows_of(rosters: Rosters, found: list[StoredObservation], curated: Curated) -> list[Row]:
    """Return a row for everything that is in a roster or was observed, as the rosters have it, then by name."""
    known: dict[tuple[Modality, str, str | None], Observed] = {
        (one.modality, one.provider, one.model): one.observed for one in found
    }
    rows: list[Row] = []
    for modality in ROUTED:
        entries = getattr(rosters, modality.value)
        roster = dict.fromkeys((entry.provider, entry.model) for entry in entries)
        names = [(provider, model) for kind, provider, model in known if kind is modality]
        pooled = sorted(name for name in names if name[1] is None)
        single = sorted(name for name in names if name[1] is not None)
        for provider, model in dict.fromkeys([*roster, *pooled, *single]):
            one = known.get((modality, provider, model))
            is_listed = (provider, model) in roster or (provider, None) in roster
            rows.append(Row(
                modality, provider, model, None if one is None else one.p50_ms, None if one is None else one.p95_ms,
                0 if one is None else one.sample_count, curated.get((modality, provider)), is_listed,
            ))  # fmt: skip
    return rows


def sorted_by(rows: list[Row], key: str, *, is_descending: bool) -> list[Row]:
    """Sort by a column; what is not known comes last either way."""
    value = _KEYS[key][1]
    known = [(found, row) for row in rows if (found := value(row)) is not None]
    unknown = [row for row in rows if value(row) is None]
    known.sort(key=lambda pair: pair[0], reverse=is_descending)
    return [*(row for _, row in known), *unknown]


def _columns(key: str | None, order: str) -> list[Column]:
    return [
        Column(
            name, title, name not in _TEXTS, order if name == key else None,
            "descending" if name == key and order == "ascending" else "ascending",
        )
        for name, (title, _) in _KEYS.items()
    ]  # fmt: skip

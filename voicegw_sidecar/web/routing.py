"""``/routing``: what was observed of each provider, and what the router would pick now and why. Sorted by links."""

from __future__ import annotations

from collections.abc import Callable

import apsw
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME
from voicegw_sidecar.config import Catalog, Project
from voicegw_sidecar.errors import NoRoute
from voicegw_sidecar.picks import Seen, baselines, pick
from voicegw_sidecar.routing.latency import Observed
from voicegw_sidecar.routing.router import Decision
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
    shown, further = listed[:PROJECTS_SHOWN], listed[PROJECTS_SHOWN:]
    known = {project.id: runtime.rollup.seen(project.id) for project in shown}
    # the newest observations change with every call: what looks at them stays on the loop
    decided = {one.id: _decide(catalog, one, known[one.id]) for one in shown if _is_adaptive(one)}
    rolled_up_ns, interval_s = runtime.rollup.rolled_up_ns, runtime.loaded.config.workers.rollup_interval_seconds

    def build(connection: apsw.Connection) -> RoutingPage:
        found = observations(connection, selected)
        return RoutingPage(
            projects=[
                _project(catalog, one, decided.get(one.id) or _decide(catalog, one, known[one.id]), found, key, order)
                for one in shown
            ],
            further=[choice_of(one) for one in further],
            columns=_columns(key, order),
            rolled_up_ns=rolled_up_ns,
            interval_s=interval_s,
        )

    return await show(seen, "parts/routing.html" if seen.is_part else "pages/routing.html", build, home="/routing")


def _is_adaptive(project: Project) -> bool:
    return project.routing.policy is RoutingPolicy.ADAPTIVE


Decided = tuple[Decision | None, str | None]


def _decide(catalog: Catalog, project: Project, seen: Seen) -> Decided:
    try:
        return pick(catalog, project.id, seen), None
    except NoRoute as refused:
        return None, refused.message


def _project(
    catalog: Catalog, project: Project, decided: Decided, found: list[StoredObservation], key: str | None, order: str
) -> ProjectRouting:
    routing_ = project.routing
    rows = rows_of(catalog, project, [one for one in found if one.project == project.id])
    return ProjectRouting(
        choice_of(project), routing_.budget_ms, routing_.fallback_to_fastest, routing_.policy, *decided,
        rows=rows if key is None else sorted_by(rows, key, is_descending=order == "descending"),
    )  # fmt: skip


def rows_of(catalog: Catalog, project: Project, found: list[StoredObservation]) -> list[Row]:
    """Return a row for everything that is in a roster or was observed, as the rosters have it, then by name."""
    known: dict[tuple[Modality, str, str | None], Observed] = {
        (one.modality, one.provider, one.model): one.observed for one in found
    }
    curated = baselines(catalog)
    rows: list[Row] = []
    for modality in ROUTED:
        entries = getattr(project.routing.rosters, modality.value)
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

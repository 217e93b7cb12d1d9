"""Rosters and observed latencies, and what a session would get: ``GET /api/routing`` and ``…/simulate``."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME
from voicegw_sidecar.api.described import described
from voicegw_sidecar.api.parameters import PROJECT, Parameters, Query
from voicegw_sidecar.api.shapes import entry_schema
from voicegw_sidecar.config.catalog import Catalog
from voicegw_sidecar.errors import NoRoute, StoreFailed, UnknownProject
from voicegw_sidecar.picks import baselines, model_of, pick, read_override
from voicegw_sidecar.routing.latency import Source
from voicegw_sidecar.routing.router import Decision
from voicegw_sidecar.store.queries.latencies import StoredObservation, observations
from voicegw_sidecar.terms import ROUTED, Modality, RosterEntry


class ObservationEntry(Struct, frozen=True):
    """What was observed of a provider; ``model`` is null where its models are pooled."""

    modality: Modality
    provider: str
    model: str | None
    p50_ms: float
    p95_ms: float
    sample_count: int
    baseline_ms: float | None


class ProjectRouting(Struct, frozen=True):
    """How one project's sessions choose."""

    budget_ms: int
    fallback_to_fastest: bool
    rosters: dict[Modality, list[str]]
    observations: list[ObservationEntry]


class RoutingAnswer(Struct, frozen=True):
    """Every project by id."""

    projects: dict[str, ProjectRouting]


class SimulatedLeg(Struct, frozen=True):
    """One leg of a route that nobody begins a session with."""

    provider: str
    model: str | None
    predicted_ms: float
    source: Source
    samples: int
    reason: str


class Simulated(Struct, frozen=True):
    """What a session that begins now would get; ``route simulate --json`` prints the same."""

    project: str
    route: dict[Modality, SimulatedLeg]
    predicted_ms: float
    budget_ms: int
    budget_overrun: bool


class Leg(Struct, frozen=True):
    """What a caller chose for a leg."""

    modality: Modality

    def read(self, name: str, value: str) -> RosterEntry:
        """Return the entry; whether it is in the roster, the router says."""
        return read_override(name, self.modality, value)

    def schema(self) -> dict[str, Any]:
        """Return the form of an entry."""
        return entry_schema(self.modality)


_LEGS = {one: Query(one.value, Leg(one), None, f"Choose the {one.upper()} yourself, of its roster.") for one in ROUTED}


@described(
    "Rosters, and what was observed until the last roll-up.", query=(PROJECT,), answers=RoutingAnswer,
    refuses=(UnknownProject, StoreFailed),
)  # fmt: skip
async def routing(request: web.Request, asked: Parameters) -> RoutingAnswer:
    """``GET /api/routing``"""
    runtime = request.app[RUNTIME]
    project = asked.project(runtime)
    found = await runtime.store.read(observations, project)
    return routing_answer(runtime.catalog, found, project)


@described(
    "The route that a session beginning now would get; nothing is opened, and it never explores.",
    query=(PROJECT, *_LEGS.values()), answers=Simulated, refuses=(UnknownProject, NoRoute),
)  # fmt: skip
async def simulate(request: web.Request, asked: Parameters) -> Simulated:
    """``GET /api/routing/simulate``; without a project it is the default one's"""
    runtime = request.app[RUNTIME]
    project = asked.project(runtime) or runtime.catalog.default_project
    overrides = {modality: found for modality, leg in _LEGS.items() if (found := asked.read(leg)) is not None}
    decision = pick(runtime.catalog, project, runtime.rollup.seen(project), overrides)
    return simulated_answer(runtime.catalog, project, decision)


def routing_answer(catalog: Catalog, found: list[StoredObservation], project: str | None = None) -> RoutingAnswer:
    """Put rosters and observations in their outside form; the command line and the page show the same."""
    known = baselines(catalog)
    wanted = catalog.projects if project is None else {project: catalog.project(project)}
    return RoutingAnswer({
        id_: ProjectRouting(
            one.routing.budget_ms,
            one.routing.fallback_to_fastest,
            {modality: [str(entry) for entry in getattr(one.routing.rosters, modality.value)] for modality in ROUTED},
            [_entry(row, known) for row in found if row.project == id_],
        )
        for id_, one in wanted.items()
    })  # fmt: skip


def simulated_answer(catalog: Catalog, project: str, decision: Decision) -> Simulated:
    """Put a decision in its outside form."""
    legs = {
        modality: SimulatedLeg(
            leg.entry.provider, model_of(catalog, modality, leg.entry), leg.expected.ms, leg.expected.source,
            leg.expected.samples, leg.reason,
        )
        for modality, leg in decision.legs.items()
    }  # fmt: skip
    return Simulated(project, legs, decision.predicted_ms, decision.budget_ms, decision.is_overrun)


def _entry(row: StoredObservation, known: dict[tuple[Modality, str], float]) -> ObservationEntry:
    observed = row.observed
    return ObservationEntry(
        row.modality, row.provider, row.model, round(observed.p50_ms, 3), round(observed.p95_ms, 3),
        observed.sample_count, known.get((row.modality, row.provider)),
    )  # fmt: skip

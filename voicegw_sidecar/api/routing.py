"""Rosters and observed latencies: ``GET /api/routing``."""

from __future__ import annotations

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME, answer
from voicegw_sidecar.api.parameters import Parameters
from voicegw_sidecar.config.catalog import Catalog
from voicegw_sidecar.picks import baselines
from voicegw_sidecar.store.queries.latencies import StoredObservation, observations
from voicegw_sidecar.terms import ROUTED, Modality


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


async def routing(request: web.Request) -> web.Response:
    """``GET /api/routing?project=``"""
    parameters = Parameters(request, "project")
    runtime = request.app[RUNTIME]
    project = parameters.project(runtime)
    found = await runtime.store.read(observations, project)
    return answer(routing_answer(runtime.catalog, found, project))


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


def _entry(row: StoredObservation, known: dict[tuple[Modality, str], float]) -> ObservationEntry:
    observed = row.observed
    return ObservationEntry(
        row.modality, row.provider, row.model, round(observed.p50_ms, 3), round(observed.p95_ms, 3),
        observed.sample_count, known.get((row.modality, row.provider)),
    )  # fmt: skip

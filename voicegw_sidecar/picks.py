"""The router's pick for a project: its rosters and rules from the configuration, its latencies, the agent's own choice.

The same for the API, the command line and calls that leave a leg to the sidecar.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct

from voicegw_sidecar.config.catalog import Catalog
from voicegw_sidecar.config.entry import Entry
from voicegw_sidecar.config.kind import Mismatch
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.providers import Provider, registry
from voicegw_sidecar.routing.latency import Key, Latencies, Observed
from voicegw_sidecar.routing.policy import explore
from voicegw_sidecar.routing.router import Decision, Wish, choose
from voicegw_sidecar.routing.window import Window
from voicegw_sidecar.terms import ROUTED, Modality, RosterEntry, RoutingPolicy


def read_override(where: str, modality: Modality, found: object) -> RosterEntry:
    """Read what an agent chose for a leg; ``where`` names the field or option in the message."""
    try:
        return Entry(modality).read(found)
    except Mismatch as mismatch:
        raise BadRequest(f"{where}: {mismatch}") from None


class Seen(Struct, frozen=True):
    """What was observed in one project: by the last roll-up, and exchange by exchange since."""

    rolled_up: Mapping[Key, Observed]
    window: Window
    now_ns: int
    """Wall clock."""


def adaptive_projects(catalog: Catalog) -> list[str]:
    """Return the projects whose policy looks at the newest observations."""
    return [id_ for id_, one in catalog.projects.items() if one.routing.policy is RoutingPolicy.ADAPTIVE]


NOT_EXPLORING = 1.0
"""The draw with which no session explores: for showing what would be chosen."""


def pick(
    catalog: Catalog,
    project_id: str,
    seen: Seen,
    overrides: Mapping[Modality, RosterEntry] | None = None,
    draw: float = NOT_EXPLORING,
) -> Decision:
    """Choose a project's triple by its policy; raises `UnknownProject` and `NoRoute`.

    ``draw`` is uniform in [0, 1): it decides whether an adaptive session explores.
    """
    routing = catalog.project(project_id).routing
    rosters = {modality: getattr(routing.rosters, modality.value) for modality in ROUTED}
    wish = Wish(project_id, rosters, routing.budget_ms, routing.fallback_to_fastest, overrides or {})
    latencies = latencies_of(catalog, project_id, seen)
    decision = choose(wish, latencies)
    return explore(decision, wish, latencies, draw) if routing.policy is RoutingPolicy.ADAPTIVE else decision


def latencies_of(catalog: Catalog, project_id: str, seen: Seen) -> Latencies:
    """Join what counts as observed with the curated baselines."""
    return Latencies(counted(catalog, project_id, seen), baselines(catalog))


def counted(catalog: Catalog, project_id: str, seen: Seen) -> Mapping[Key, Observed]:
    """Return what counts as observed by the project's policy."""
    is_adaptive = catalog.project(project_id).routing.policy is RoutingPolicy.ADAPTIVE
    return seen.window.observed(seen.now_ns) if is_adaptive else seen.rolled_up


def baselines(catalog: Catalog) -> dict[tuple[Modality, str], float]:
    """Return the curated latencies in milliseconds."""
    return {
        (baseline.modality, provider.id): float(baseline.ms)
        for provider in _providers(catalog).values()
        for baseline in provider.baselines
    }


def model_of(catalog: Catalog, modality: Modality, entry: RosterEntry) -> str | None:
    """Return the model that an entry means: its own, else the provider's default, else None."""
    if entry.model is not None:
        return entry.model
    provider = _providers(catalog).get(entry.provider)
    return None if provider is None else provider.default_model(modality)


@lru_cache(maxsize=2)  # a catalog is immutable, and asked for every session
def _providers(catalog: Catalog) -> dict[str, Provider]:
    return registry(catalog.config.providers, *(project.providers for project in catalog.projects.values()))

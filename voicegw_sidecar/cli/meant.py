"""Which providers are meant to be used: by the configuration, or by a key in the environment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from voicegw_sidecar.cli.variables import key_variable
from voicegw_sidecar.config import Catalog, Project
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.terms import ROUTED, Modality


def meant(catalog: Catalog, environ: Mapping[str, str], projects: Iterable[str]) -> tuple[str, ...]:
    """Return the providers that these projects or the environment name, those that are built in first."""
    named = set(catalog.config.providers)
    for project_id in projects:
        project = catalog.project(project_id)
        named |= {*project.providers, *rostered(project), *stand_ins(project)}
    named |= {provider for provider in BY_ID if key_variable(provider, environ)}
    return tuple(provider for provider in (*BY_ID, *sorted(named - set(BY_ID))) if provider in named)


def rostered(project: Project) -> Iterator[str]:
    """Yield the providers of a project's rosters."""
    for modality in ROUTED:
        yield from (entry.provider for entry in getattr(project.routing.rosters, modality.value))


def stand_ins(project: Project) -> Iterator[str]:
    """Yield the providers that serve a project whose budget is spent."""
    entries = (getattr(project.throttle_to, modality.value) for modality in ROUTED)
    yield from (entry.provider for entry in entries if entry is not None)


def needs_key(provider: str) -> bool:
    """Say whether a provider serves nobody without a key; of a server of one's own nobody knows."""
    return provider in BY_ID and not BY_ID[provider].is_local


def serves(provider: str, modality: Modality) -> bool:
    """Say whether a provider does this kind of work; a server of one's own may do any."""
    found = BY_ID.get(provider)
    if found is None:
        return True
    kinds = {kind for kind, _ in found.default_models} | {baseline.modality for baseline in found.baselines}
    return modality in kinds

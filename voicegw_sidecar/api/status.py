"""What is configured and how the parts stand: ``GET /v1/status``. Never a key."""

from __future__ import annotations

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar import __version__
from voicegw_sidecar.api.answers import RUNTIME
from voicegw_sidecar.api.described import described
from voicegw_sidecar.api.health import readiness_of
from voicegw_sidecar.api.parameters import Parameters
from voicegw_sidecar.errors import StoreFailed
from voicegw_sidecar.providers import registry
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.queries import exchanges


class ProviderStatus(Struct, frozen=True):
    """``configured``: a key is set somewhere, or the provider is local and needs none."""

    configured: bool
    local: bool
    base_url: str
    metered: bool


class PriceStatus(Struct, frozen=True):
    """Where prices come from."""

    source: str
    version: str
    overrides: int


class DatabaseStatus(Struct, frozen=True):
    """How the store stands; ``state`` is the word of ``/ready``."""

    path: str
    schema_version: int
    state: str
    reasons: list[str]
    waiting_rows: int
    dropped_rows: int
    rejected_rows: int


class Counts(Struct, frozen=True):
    """How much there is."""

    projects: int
    exchanges: int
    open_exchanges: int
    open_sessions: int


class SidecarStatus(Struct, frozen=True):
    """The whole answer."""

    version: str
    config_path: str | None
    config_error: str | None
    keys_waiting_for_restart: list[str]
    projects_not_in_force: dict[str, str]
    """Projects made at run time that cannot be in force, and why."""
    logo_errors: dict[str, str]
    timezone: str
    default_project: str
    cost_tracking: bool
    providers: dict[str, ProviderStatus]
    counts: Counts
    prices: PriceStatus
    database: DatabaseStatus


@described("What is configured and in force, and how the parts stand.", answers=SidecarStatus, refuses=(StoreFailed,))
async def status(request: web.Request, asked: Parameters) -> SidecarStatus:
    """``GET /v1/status``"""
    runtime = request.app[RUNTIME]
    counted = await runtime.store.read(exchanges.counts)
    config, readiness, state = runtime.catalog.config, readiness_of(runtime), runtime.store.state()
    return SidecarStatus(
        version=__version__,
        config_path=None if runtime.loaded.path is None else str(runtime.loaded.path),
        config_error=runtime.config_error,
        keys_waiting_for_restart=list(runtime.waiting_for_restart),
        projects_not_in_force=projects_not_in_force(runtime),
        logo_errors={id_: fault.message for id_, fault in runtime.brands.file_logos.faults.items()},
        timezone=config.timezone,
        default_project=config.default_project,
        cost_tracking=config.cost_tracking.enabled,
        providers=_providers(runtime),
        counts=Counts(
            len(runtime.catalog.projects), counted.exchanges, counted.open, len(runtime.sessions.all_open())
        ),
        prices=PriceStatus("voice-prices", runtime.prices.catalogue_version, len(config.prices)),
        database=DatabaseStatus(
            str(runtime.store.path), runtime.store.schema, readiness.status, readiness.reasons,
            state.waiting_rows, state.dropped_rows, state.rejected_rows,
        ),
    )  # fmt: skip


def projects_not_in_force(runtime: Runtime) -> dict[str, str]:
    """Return the projects made at run time that are not in force, and why."""
    shadowed = "the configuration file has a project of this id, and that one is in force"
    return {**dict.fromkeys(runtime.judged.shadowed, shadowed), **runtime.judged.faults}


def _providers(runtime: Runtime) -> dict[str, ProviderStatus]:
    catalog = runtime.catalog
    found = {}
    for provider_id, provider in registry(catalog.config.providers).items():
        settings = catalog.provider_settings(catalog.default_project, provider_id)
        has_key = any(
            catalog.provider_settings(project, provider_id).api_key
            for project in catalog.projects
            if provider_id in catalog.provider_ids(project)
        )
        found[provider_id] = ProviderStatus(
            configured=has_key or provider.is_local or provider.catalogue_id is None,
            local=provider.is_local,
            base_url=settings.base_url,
            metered=bool(provider.endpoints),
        )
    return found

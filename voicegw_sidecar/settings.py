"""Configuration joined with what is built in: for the server and the command line alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from voicegw_sidecar.config import BuiltinProvider, Catalog, Config, Loaded, Project, examine, load
from voicegw_sidecar.errors import ConfigError
from voicegw_sidecar.ledger.prices import PriceBook, Priced, Rates, read_supplement
from voicegw_sidecar.providers import ALL, BY_ID
from voicegw_sidecar.resources import package_file
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.terms import Cost

BUILTIN = {provider.id: BuiltinProvider(provider.base_url, provider.is_local) for provider in ALL}


def load_settings(explicit_path: str | None, environ: Mapping[str, str]) -> Loaded:
    """Find, read and check the configuration; raises `ConfigError` with the first fault."""
    return load(explicit_path, environ, Path.cwd(), BUILTIN)


def examine_settings(explicit_path: str | None, environ: Mapping[str, str]) -> tuple[Loaded, list[ConfigError]]:
    """Do the same and return every fault."""
    return examine(explicit_path, environ, Path.cwd(), BUILTIN)


def catalog_of(config: Config, managed: Iterable[Project] = ()) -> Catalog:
    """Return the snapshot that is asked at run time."""
    return Catalog(config, BUILTIN, managed)


def price_book(config: Config) -> PriceBook:
    """Return the prices: the file's own first, then the supplement, then the catalogue."""
    names = Rates.__struct_fields__
    overrides = {
        model: Rates(**{name: getattr(override, name) for name in names}) for model, override in config.prices.items()
    }
    return PriceBook(overrides, _supplement())


@lru_cache(maxsize=1)
def _supplement() -> dict[str, Rates]:
    """Read the supplement once: later, projects are put in force on the event loop."""
    return read_supplement(package_file("data/price_supplement.json").read_bytes())


def price_of(prices: PriceBook, row: ExchangeRow) -> Cost:
    """Price a stored row again: for what a crash left open."""
    provider = BY_ID.get(row.provider)
    return prices.cost(
        Priced(
            provider=row.provider,
            model=row.model,
            modality=row.modality,
            usage=row.usage,
            catalogue_provider=provider.catalogue_id if provider else None,
            catalogue_model=row.price_model,
            is_local=provider.is_local if provider else False,
        )
    )

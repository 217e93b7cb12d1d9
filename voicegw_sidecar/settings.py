"""Configuration joined with what is built in: for the server and the command line alike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from voicegw_sidecar.config import BuiltinProvider, Catalog, Config, Loaded, examine, load
from voicegw_sidecar.errors import ConfigError
from voicegw_sidecar.ledger.prices import PriceBook, Rates, read_supplement
from voicegw_sidecar.providers import ALL
from voicegw_sidecar.resources import package_file

BUILTIN = {provider.id: BuiltinProvider(provider.base_url, provider.is_local) for provider in ALL}


def load_settings(explicit_path: str | None, environ: Mapping[str, str]) -> Loaded:
    """Find, read and check the configuration; raises `ConfigError` with the first fault."""
    return load(explicit_path, environ, Path.cwd(), BUILTIN)


def examine_settings(explicit_path: str | None, environ: Mapping[str, str]) -> tuple[Loaded, list[ConfigError]]:
    """Do the same and return every fault."""
    return examine(explicit_path, environ, Path.cwd(), BUILTIN)


def catalog_of(config: Config) -> Catalog:
    """Return the snapshot that is asked at run time."""
    return Catalog(config, BUILTIN)


def price_book(config: Config) -> PriceBook:
    """Return the prices: the file's own first, then the supplement, then the catalogue."""
    names = Rates.__struct_fields__
    overrides = {
        model: Rates(**{name: getattr(override, name) for name in names}) for model, override in config.prices.items()
    }
    return PriceBook(overrides, read_supplement(package_file("data/price_supplement.json").read_bytes()))

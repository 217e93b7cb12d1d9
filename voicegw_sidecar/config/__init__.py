"""Configuration: ``voicegw.yaml`` and the variables above it, read, checked and looked up.

Imports nothing of the sidecar but ``terms`` and ``errors``; the built-in providers are handed in. Only
``load`` touches files.
"""

from voicegw_sidecar.config.catalog import Catalog, ProviderSettings, Timeouts, accent_for
from voicegw_sidecar.config.check import check_all, check_document
from voicegw_sidecar.config.load import Loaded, examine, load
from voicegw_sidecar.config.managed import read_managed
from voicegw_sidecar.config.rule import unexposed
from voicegw_sidecar.config.schema import BuiltinProvider, Config, Project

__all__ = [
    "BuiltinProvider",
    "Catalog",
    "Config",
    "Loaded",
    "Project",
    "ProviderSettings",
    "Timeouts",
    "accent_for",
    "check_all",
    "check_document",
    "examine",
    "load",
    "read_managed",
    "unexposed",
]

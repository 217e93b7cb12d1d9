"""Opening the database for a command: read-only, no server needed."""

from __future__ import annotations

import argparse
import os
import time
from zoneinfo import ZoneInfo

import apsw
from msgspec import Struct

from voicegw_sidecar.config import Catalog, Loaded
from voicegw_sidecar.errors import StoreFailed
from voicegw_sidecar.settings import catalog_of, load_settings
from voicegw_sidecar.store.database import open_for_reading


class Opened(Struct, frozen=True):
    """What a listing command works with."""

    loaded: Loaded
    catalog: Catalog
    zone: ZoneInfo
    wall_ns: int
    connection: apsw.Connection


def settings_of(options: argparse.Namespace) -> Loaded:
    """Load the configuration that the options name."""
    return load_settings(getattr(options, "config", None), os.environ)


def open_database(options: argparse.Namespace) -> Opened:
    """Load the configuration and open its database; a project named in the options has to exist."""
    loaded = settings_of(options)
    path = loaded.config.cost_tracking.db_path
    if not path.exists():
        raise StoreFailed(f"no database at {path} yet: start the sidecar once with 'voicegw-sidecar serve'")
    try:
        connection = open_for_reading(path)
    except apsw.Error as error:
        raise StoreFailed(f"cannot read {path}: {type(error).__name__}: {error}") from None
    catalog = joined_catalog(loaded, connection)
    if getattr(options, "project", None) is not None:
        catalog.project(options.project)
    return Opened(loaded, catalog, ZoneInfo(loaded.config.timezone), time.time_ns(), connection)


def joined_catalog(loaded: Loaded, connection: apsw.Connection) -> Catalog:
    """Return the projects of the file and those that were made at run time."""
    from voicegw_sidecar.managed_projects import judge
    from voicegw_sidecar.store.queries.operators import managed_projects

    judged = judge(managed_projects(connection), loaded.config, loaded.environ)
    return catalog_of(loaded.config, judged.projects)

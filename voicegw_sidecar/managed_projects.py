"""Projects made at run time: their rows, and what of them may be in force beside the configuration file.

A row is judged whenever the file or the rows change: what the file says may contradict one that was sound when it was
written. Such a project is not in force, and the reason is told; it is never in force by half.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct, structs

from voicegw_sidecar.config import Config, Project, read_managed
from voicegw_sidecar.errors import ConfigError
from voicegw_sidecar.settings import BUILTIN
from voicegw_sidecar.store.operator_records import ManagedRow

Settings = dict[str, Any]
"""A project's settings as they came, as JSON: those of the file's section, keys only by the names of variables."""

LIMIT_PROJECTS = 1000


class Judged(Struct, frozen=True):
    """The managed projects beside one configuration."""

    projects: list[Project]
    """Those in force."""
    faults: dict[str, str]
    """Why others are not in force, by their id."""
    shadowed: list[str]
    """Those whose id the file has too: the file's is in force."""


def judge(rows: Iterable[ManagedRow], config: Config, environ: Mapping[str, str]) -> Judged:
    """Say which managed projects can be in force beside a configuration file."""
    projects: dict[str, Project] = {}
    faults: dict[str, str] = {}
    shadowed: list[str] = []
    for row in rows:
        if row.project_id in config.projects:
            shadowed.append(row.project_id)
            continue
        joined = structs.replace(config, projects={**config.projects, **projects})
        project, errors = read_managed(row.project_id, settings_of(row), joined, BUILTIN, environ)
        if errors:
            faults[row.project_id] = errors[0].message
        else:
            projects[row.project_id] = project
    return Judged(list(projects.values()), faults, shadowed)


def settings_of(row: ManagedRow) -> Settings:
    """Return a row's settings; what is not JSON, which no program of ours wrote, is no settings."""
    try:
        found = msgspec.json.decode(row.settings)
    except msgspec.DecodeError:
        return {"settings": "unreadable"}  # an unknown key: the project is told to be at fault
    return found if isinstance(found, dict) else {"settings": "unreadable"}


def written(settings: Settings) -> str:
    """Return settings as the database has them."""
    return msgspec.json.encode(settings).decode()


def merged(settings: Settings, patch: Mapping[str, Any]) -> Settings:
    """Apply a JSON merge patch (RFC 7396): null removes, objects merge, anything else replaces."""
    result = dict(settings)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            below = result.get(name)
            result[name] = merged(below if isinstance(below, dict) else {}, value)
        else:
            result[name] = value
    return result


def fault_of(project_id: str, error: ConfigError) -> str:
    """Word a fault for whoever sent the settings: the path begins at the project, which they named."""
    return error.message.removeprefix(f"projects.{project_id}.")

"""Projects made at run time: their rows, and what of them may be in force beside the configuration file.

A row is judged whenever the file or the rows change: what the file says may contradict one that was sound when it was
written. Such a project is not in force, and the reason is told; it is never in force by half.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from voicegw_sidecar.config import Config, Project, read_managed
from voicegw_sidecar.errors import ConfigError
from voicegw_sidecar.settings import BUILTIN
from voicegw_sidecar.store.operator_records import ManagedRow
from voicegw_sidecar.terms import Secret

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

    def having(self, project: Project) -> Judged:
        """Return the same with one project made or changed."""
        return Judged([*self._others(project.id), project], self._faults_but(project.id), self.shadowed)

    def without(self, project_id: str) -> Judged:
        """Return the same with one project deleted."""
        shadowed = [one for one in self.shadowed if one != project_id]
        return Judged(self._others(project_id), self._faults_but(project_id), shadowed)

    def keys_but_of(self, project_id: str) -> dict[Secret, str]:
        """Return the agent keys of all other projects, and whose each is."""
        return {key: one.id for one in self._others(project_id) for key in one.agent_keys}

    def _others(self, project_id: str) -> list[Project]:
        return [one for one in self.projects if one.id != project_id]

    def _faults_but(self, project_id: str) -> dict[str, str]:
        return {id_: fault for id_, fault in self.faults.items() if id_ != project_id}


def judge(rows: Iterable[ManagedRow], config: Config, environ: Mapping[str, str]) -> Judged:
    """Say which managed projects can be in force beside a configuration file; not for the event loop."""
    projects: list[Project] = []
    taken: dict[Secret, str] = {}
    faults: dict[str, str] = {}
    shadowed: list[str] = []
    for row in rows:
        if row.project_id in config.projects:
            shadowed.append(row.project_id)
            continue
        project, errors = read_managed(row.project_id, settings_of(row), config, BUILTIN, environ, taken)
        if errors:
            faults[row.project_id] = errors[0].message
        else:
            projects.append(project)
            taken.update(dict.fromkeys(project.agent_keys, project.id))
    return Judged(projects, faults, shadowed)


def settings_of(row: ManagedRow) -> Settings:
    """Return a row's settings; what is not JSON, which no program of ours wrote, is no settings."""
    try:
        found = msgspec.json.decode(row.settings)
    except (msgspec.DecodeError, RecursionError):
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

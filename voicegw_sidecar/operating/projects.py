"""Projects made, changed and deleted at run time; in force for the next call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from voicegw_sidecar import tasks
from voicegw_sidecar.config import Project, read_managed
from voicegw_sidecar.errors import BadRequest, Conflict, Forbidden, NotFound
from voicegw_sidecar.managed_projects import LIMIT_PROJECTS, Settings, fault_of, merged, settings_of, written
from voicegw_sidecar.operating.commit import Change, commit
from voicegw_sidecar.operating.shares import revocations
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.settings import BUILTIN
from voicegw_sidecar.store.operator_records import (
    ManagedRow,
    forget_brand,
    forget_managed,
    purge_statements,
    write_managed,
)
from voicegw_sidecar.store.queries.operators import is_anything_left

logger = logging.getLogger(__name__)

_PURGE_PAUSE_S = 0.02  # between two batches: the rows of calls go first


async def create(runtime: Runtime, actor: str, project_id: object, settings: Settings) -> Project:
    """Make a project; raises `BadRequest` with the first fault, and `Conflict` where the id is taken."""
    if not isinstance(project_id, str):
        raise BadRequest("project_id: expected the id of the new project as text")
    async with runtime.changing:
        if project_id in runtime.catalog.projects or project_id in runtime.managed:
            raise Conflict(f"project_id: {project_id[:64]} is taken; choose another")
        if len(runtime.managed) >= LIMIT_PROJECTS:
            raise Conflict(f"there are {LIMIT_PROJECTS} projects, which is the limit; delete one first")
        project = _read(runtime, project_id, settings)
        now_ns = runtime.clock.wall_ns()
        row = ManagedRow(project_id, written(settings), now_ns, now_ns)
        change = Change(actor, "project.create", project_id, after=settings)
        await commit(runtime, change, [write_managed(row)], lambda: _put(runtime, row, project))
    return project


async def patch(runtime: Runtime, actor: str, project_id: str, changes: Mapping[str, Any]) -> Project:
    """Change a project by a JSON merge patch."""
    async with runtime.changing:
        row = changeable(runtime, project_id)
        before = settings_of(row)
        after = merged(before, changes)
        project = _read(runtime, project_id, after)
        row = replace(row, settings=written(after), updated_ns=runtime.clock.wall_ns())
        change = Change(actor, "project.change", project_id, before, after)
        await commit(runtime, change, [write_managed(row)], lambda: _put(runtime, row, project))
    return project


async def delete(runtime: Runtime, actor: str, project_id: str, *, is_purge: bool) -> None:
    """Delete a project with its brand and its share links; ``is_purge`` also what its calls left, bit by bit."""
    async with runtime.changing:
        row = changeable(runtime, project_id)
        links = revocations(runtime, project_id)
        statements = [forget_managed(project_id), forget_brand(project_id), *links.statements]

        def then() -> None:
            runtime.managed.pop(project_id, None)
            runtime.judged = runtime.judged.without(project_id)
            runtime.brands.forget(project_id)
            links.put_in_force()
            runtime.put_in_force()

        action = "project.purge" if is_purge else "project.delete"
        await commit(runtime, Change(actor, action, project_id, before=settings_of(row)), statements, then)
    await asyncio.to_thread(runtime.brands.remove, project_id)
    for session in runtime.sessions.all_open():
        if session.project == project_id:
            _ = runtime.sessions.close(session)
    if is_purge:
        _ = tasks.spawn(_purge(runtime, project_id), name=f"purge {project_id}")


def changeable(runtime: Runtime, project_id: str) -> ManagedRow:
    """Return the row of a project that may be changed here; raises `Forbidden` and `UnknownProject`."""
    if project_id not in runtime.managed:
        runtime.catalog.project(project_id)
        raise Forbidden(f"project {project_id} is not the API's to change: it is defined by the configuration file")
    if project_id in runtime.judged.shadowed:
        raise Forbidden(f"project {project_id} is in the configuration file too, and that one is in force")
    return runtime.managed[project_id]


def _read(runtime: Runtime, project_id: str, settings: Settings) -> Project:
    loaded, taken = runtime.loaded, runtime.judged.keys_but_of(project_id)
    project, errors = read_managed(project_id, settings, loaded.config, BUILTIN, loaded.environ, taken)
    if errors:
        raise BadRequest(fault_of(project_id, errors[0]))
    return project


def _put(runtime: Runtime, row: ManagedRow, project: Project) -> None:
    runtime.managed[row.project_id] = row
    runtime.judged = runtime.judged.having(project)
    runtime.put_in_force()


async def _purge(runtime: Runtime, project_id: str) -> None:
    """Remove what a project's calls left, in small pieces between the rows of calls that are under way."""
    await asyncio.gather(*runtime.sessions.all_closing())
    while await runtime.store.read(is_anything_left, project_id):
        if project_id in runtime.catalog.projects:
            logger.warning("purge ended, the project is there again", extra={"project": project_id})
            return
        await runtime.store.committed(*purge_statements(project_id))
        await asyncio.sleep(_PURGE_PAUSE_S)
    logger.info("project purged", extra={"project": project_id})


def settings_for_page(runtime: Runtime, project_id: str) -> Settings:
    """Return a project's settings as they are stored, for the form that changes them."""
    row = runtime.managed.get(project_id)
    if row is None:
        raise NotFound(f"project {project_id[:64]!r} was not made at run time")
    return settings_of(row)

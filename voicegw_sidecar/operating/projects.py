"""Projects made, changed and deleted at run time; in force for the next call."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from voicegw_sidecar.config import Project, read_managed
from voicegw_sidecar.errors import BadRequest, Conflict, Forbidden, NotFound, TooLarge
from voicegw_sidecar.managed_projects import LIMIT_PROJECTS, Settings, fault_of, merged, settings_of, written
from voicegw_sidecar.operating.commit import Change, carry_out, commit, new_id
from voicegw_sidecar.operating.shares import revocations
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.settings import BUILTIN
from voicegw_sidecar.store.operator_records import (
    ManagedRow,
    PurgeRow,
    forget_brand,
    forget_managed,
    write_managed,
    write_purge,
)

LIMIT_SETTINGS_BYTES = 64 * 1024
_CLOSED_AT_ONCE = 50  # sessions: between so many the calls have their turn


async def create(runtime: Runtime, actor: str, project_id: object, settings: Settings) -> Project:
    """Make a project; raises `BadRequest` with the first fault, and `Conflict` where the id is taken."""
    if not isinstance(project_id, str):
        raise BadRequest("project_id: expected the id of the new project as text")

    async def work() -> Project:
        if project_id in runtime.catalog.projects or project_id in runtime.managed:
            raise Conflict(f"project_id: {project_id[:64]} is taken; choose another")
        if len(runtime.managed) >= LIMIT_PROJECTS:
            raise Conflict(f"there are {LIMIT_PROJECTS} projects, which is the limit; delete one first")
        project = await _read(runtime, project_id, settings)
        now_ns = runtime.clock.wall_ns()
        row = ManagedRow(project_id, written(settings), now_ns, now_ns)
        # a project of this id that was there before was somebody else's: neither its links nor its look are this one's
        links = revocations(runtime, project_id)
        change = Change(actor, "project.create", project_id, after=settings)
        await commit(runtime, change, [write_managed(row), forget_brand(project_id), *links.statements])
        links.put_in_force()
        runtime.brands.forget(project_id)
        await asyncio.to_thread(runtime.brands.remove, project_id)
        _put(runtime, row, project)
        return project

    return await carry_out(runtime, "project.create", work)


async def patch(runtime: Runtime, actor: str, project_id: str, changes: Mapping[str, Any]) -> Project:
    """Change a project by a JSON merge patch."""

    async def work() -> Project:
        row = changeable(runtime, project_id)
        before = settings_of(row)
        after = merged(before, changes)
        project = await _read(runtime, project_id, after)
        row = replace(row, settings=written(after), updated_ns=runtime.clock.wall_ns())
        await commit(runtime, Change(actor, "project.change", project_id, before, after), [write_managed(row)])
        _put(runtime, row, project)
        return project

    return await carry_out(runtime, "project.change", work)


async def delete(runtime: Runtime, actor: str, project_id: str, *, is_purge: bool) -> None:
    """Delete a project with its brand and its share links; ``is_purge`` also what its calls left, bit by bit."""

    async def work() -> None:
        row = changeable(runtime, project_id)
        links = revocations(runtime, project_id)
        purge = PurgeRow(project_id, new_id(runtime))
        action = "project.purge" if is_purge else "project.delete"
        statements = [forget_managed(project_id), forget_brand(project_id), *links.statements]
        statements += [write_purge(purge)] if is_purge else []
        await commit(runtime, Change(actor, action, project_id, before=settings_of(row)), statements)
        runtime.managed.pop(project_id, None)
        runtime.judged = runtime.judged.without(project_id)
        runtime.brands.forget(project_id)
        links.put_in_force()
        runtime.put_in_force()
        await asyncio.to_thread(runtime.brands.remove, project_id)
        await _close_sessions(runtime, project_id)
        if is_purge:
            runtime.purges.append(purge)

    await carry_out(runtime, "project.delete", work)


async def _close_sessions(runtime: Runtime, project_id: str) -> None:
    of_project = [one for one in runtime.sessions.all_open() if one.project == project_id]
    for number, session in enumerate(of_project, start=1):
        _ = runtime.sessions.close(session)
        if number % _CLOSED_AT_ONCE == 0:
            await asyncio.sleep(0)


def changeable(runtime: Runtime, project_id: str) -> ManagedRow:
    """Return the row of a project that may be changed here; raises `Forbidden` and `UnknownProject`."""
    if project_id not in runtime.managed:
        runtime.catalog.project(project_id)
        raise Forbidden(f"project {project_id} is not the API's to change: it is defined by the configuration file")
    if project_id in runtime.judged.shadowed:
        raise Forbidden(f"project {project_id} is in the configuration file too, and that one is in force")
    return runtime.managed[project_id]


async def _read(runtime: Runtime, project_id: str, settings: Settings) -> Project:
    if len(written(settings)) > LIMIT_SETTINGS_BYTES:
        raise TooLarge(f"the project's settings are longer than {LIMIT_SETTINGS_BYTES} bytes")
    loaded, taken = runtime.loaded, runtime.judged.keys_but_of(project_id)
    project, errors = await asyncio.to_thread(
        read_managed, project_id, settings, loaded.config, BUILTIN, loaded.environ, taken
    )
    if errors:
        raise BadRequest(fault_of(project_id, errors[0]))
    return project


def _put(runtime: Runtime, row: ManagedRow, project: Project) -> None:
    runtime.managed[row.project_id] = row
    runtime.judged = runtime.judged.having(project)
    runtime.put_in_force()


def settings_for_page(runtime: Runtime, project_id: str) -> Settings:
    """Return a project's settings as they are stored, for the form that changes them."""
    row = runtime.managed.get(project_id)
    if row is None:
        raise NotFound(f"project {project_id[:64]!r} was not made at run time")
    return settings_of(row)

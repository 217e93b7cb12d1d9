"""Projects made, changed and deleted at run time: ``POST /v1/projects``, ``PATCH`` and ``DELETE /v1/projects/{id}``."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME, VISITOR
from voicegw_sidecar.api.body import SettingsBody
from voicegw_sidecar.api.described import described
from voicegw_sidecar.api.parameters import Parameters, Query, YesNo
from voicegw_sidecar.api.projects import ProjectView, project_view
from voicegw_sidecar.api.shapes import new_project, project_patch
from voicegw_sidecar.errors import BadRequest, Conflict, Forbidden, StoreFailed, TooLarge, UnknownProject
from voicegw_sidecar.operating import projects


class Deleted(Struct, frozen=True):
    """What was deleted; ``purge`` says that what its calls left is being removed too."""

    id: str
    deleted: bool
    purge: bool


_PURGE = Query("purge", YesNo(), False, "Delete the project's sessions and exchanges too.")


@described(
    "Make a project, in force for the next call. The settings are those of the configuration file, but for keys, "
    "which are given by the names of variables; what one setting says against another is a 400 as well.",
    body=SettingsBody(new_project), answers=ProjectView, status=201, refuses=(Conflict, TooLarge, StoreFailed),
)  # fmt: skip
async def create(request: web.Request, asked: Parameters, settings: dict[str, Any]) -> ProjectView:
    """``POST /v1/projects``: the settings of the file's section, and ``project_id``"""
    project_id = settings.pop("project_id", None)
    if project_id is None:
        raise BadRequest("project_id: found nothing, expected the id of the new project")
    made = await projects.create(request.app[RUNTIME], request[VISITOR].actor, project_id, settings)
    return project_view(made)


@described(
    "Change a project that was made at run time, by a JSON merge patch (RFC 7396): null removes a setting.",
    id_of="project", body=SettingsBody(project_patch), answers=ProjectView,
    refuses=(UnknownProject, Forbidden, TooLarge, StoreFailed),
)  # fmt: skip
async def patch(request: web.Request, asked: Parameters, changes: dict[str, Any]) -> ProjectView:
    """``PATCH /v1/projects/{id}``"""
    project_id = request.match_info["id"]
    if changes.pop("project_id", project_id) != project_id:
        raise BadRequest("project_id: expected the id in the address; a project cannot be renamed")
    changed = await projects.patch(request.app[RUNTIME], request[VISITOR].actor, project_id, changes)
    return project_view(changed)


@described(
    "Delete a project that was made at run time, with its brand and its share links.",
    id_of="project", query=(_PURGE,), answers=Deleted, refuses=(UnknownProject, Forbidden, StoreFailed),
)  # fmt: skip
async def delete(request: web.Request, asked: Parameters) -> Deleted:
    """``DELETE /v1/projects/{id}``"""
    is_purge = asked.read(_PURGE)
    project_id = request.match_info["id"]
    await projects.delete(request.app[RUNTIME], request[VISITOR].actor, project_id, is_purge=is_purge)
    return Deleted(project_id, deleted=True, purge=is_purge)

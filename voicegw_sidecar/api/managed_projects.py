"""Projects made, changed and deleted at run time: ``POST /v1/projects``, ``PATCH`` and ``DELETE /v1/projects/{id}``."""

from __future__ import annotations

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME, VISITOR, answer
from voicegw_sidecar.api.body import json_object
from voicegw_sidecar.api.parameters import Parameters
from voicegw_sidecar.api.projects import project_view
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.operating import projects


class Deleted(Struct, frozen=True):
    """What was deleted; ``purge`` says that what its calls left is being removed too."""

    id: str
    deleted: bool
    purge: bool


async def create(request: web.Request) -> web.Response:
    """``POST /v1/projects``: the settings of the file's section, and ``project_id``"""
    Parameters(request)
    settings = await json_object(request)
    project_id = settings.pop("project_id", None)
    if project_id is None:
        raise BadRequest("project_id: found nothing, expected the id of the new project")
    made = await projects.create(request.app[RUNTIME], request[VISITOR].actor, project_id, settings)
    return answer(project_view(made), 201)


async def patch(request: web.Request) -> web.Response:
    """``PATCH /v1/projects/{id}``: a JSON merge patch; null removes a setting"""
    Parameters(request)
    changes = await json_object(request)
    project_id = request.match_info["id"]
    if changes.pop("project_id", project_id) != project_id:
        raise BadRequest("project_id: expected the id in the address; a project cannot be renamed")
    changed = await projects.patch(request.app[RUNTIME], request[VISITOR].actor, project_id, changes)
    return answer(project_view(changed))


async def delete(request: web.Request) -> web.Response:
    """``DELETE /v1/projects/{id}?purge=true``"""
    is_purge = Parameters(request, "purge").choice("purge", ("true", "false")) == "true"
    project_id = request.match_info["id"]
    await projects.delete(request.app[RUNTIME], request[VISITOR].actor, project_id, is_purge=is_purge)
    return answer(Deleted(project_id, deleted=True, purge=is_purge))

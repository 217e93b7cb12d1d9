"""Who looks at a page, at which project, and what they asked for: the same questions at the top of every page.

The project in ``?project=`` selects what is shown and whose brand it has. Somebody with a share link has one project,
and any other is answered as one that does not exist.
"""

from __future__ import annotations

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.access import Role
from voicegw_sidecar.api.answers import RUNTIME, VISITOR, Visitor
from voicegw_sidecar.api.parameters import Parameters
from voicegw_sidecar.config import Project
from voicegw_sidecar.errors import Forbidden, NotFound, UnknownProject
from voicegw_sidecar.runtime import Runtime


class Visit(Struct, frozen=True):
    """One request of a page. ``project`` is what it is limited to; None shows all."""

    request: web.Request
    runtime: Runtime
    visitor: Visitor
    parameters: Parameters
    project: Project | None

    @property
    def project_id(self) -> str | None:
        """The id of the project that the page is limited to."""
        return None if self.project is None else self.project.id

    @property
    def is_admin(self) -> bool:
        """True for somebody who may change things."""
        return self.visitor.role is Role.ADMIN

    @property
    def is_shared(self) -> bool:
        """True for somebody with a share link."""
        return self.visitor.role is Role.SHARE

    @property
    def is_part(self) -> bool:
        """True where htmx asks for the part of the page that changes."""
        return self.request.headers.get("HX-Request") == "true"


def visit(request: web.Request, *names: str) -> Visit:
    """Read a page's request; ``names`` are the parameters it takes besides ``project``."""
    runtime, visitor = request.app[RUNTIME], request[VISITOR]
    parameters = Parameters(request, "project", *names).without_blanks()
    named = parameters.text("project")
    return Visit(request, runtime, visitor, parameters, _project(runtime, visitor, named))


def own_project(seen: Visit) -> Project:
    """Return the project that a page's path names."""
    project = _project(seen.runtime, seen.visitor, seen.request.match_info["id"])
    assert project is not None
    return project


def only_admins(seen: Visit) -> None:
    """Refuse a page that changes something; for a share link it does not exist."""
    only_operators(seen)
    if not seen.is_admin:
        raise Forbidden("this key may read and not change; sign in with an admin key")


def only_operators(seen: Visit) -> None:
    """Refuse a page that is about the sidecar as a whole: for a share link it does not exist."""
    if seen.is_shared:
        raise NotFound("nothing is at this address")


def _project(runtime: Runtime, visitor: Visitor, named: str | None) -> Project | None:
    if named is None:
        named = visitor.project
    if named is None:
        return None
    project = runtime.catalog.projects.get(named)
    if project is None or visitor.project not in (None, named):
        raise UnknownProject("there is no such project here")
    return project

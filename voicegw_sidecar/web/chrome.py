"""What is around every page: brand, navigation, the choice of a project, and who is signed in."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from msgspec import Struct

from voicegw_sidecar import __version__
from voicegw_sidecar.api.answers import scheme_of
from voicegw_sidecar.brands import Brand, logo_url
from voicegw_sidecar.config import Project, accent_for
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.web.visit import Visit

PRODUCT = "voicegw-sidecar"
CHOICES = 100
"""Projects that can be selected beside the navigation; all of them are on the page of projects."""
_PAGES = (
    ("/", "Overview"), ("/sessions", "Sessions"), ("/routing", "Routing"), ("/projects", "Projects"),
    ("/costs", "Costs"), ("/logs", "Logs"),
)  # fmt: skip


class Place(Struct, frozen=True):
    """One entry of the navigation."""

    title: str
    address: str
    is_current: bool


class Choice(Struct, frozen=True):
    """One project that may be selected; ``accent`` is a colour word."""

    id: str
    title: str
    accent: str


class Look(Struct, frozen=True):
    """A brand as a page shows it; None is the default one's."""

    product: str = PRODUCT
    logo: str | None = None
    stylesheet: str | None = None


DEFAULT_LOOK = Look()


class Chrome(Struct, frozen=True):
    """Everything around a page's content. ``home`` is the page's own path, without its parameters."""

    look: Look
    places: list[Place]
    home: str
    project: Choice | None
    choices: list[Choice]
    has_more_choices: bool
    is_admin: bool
    is_shared: bool
    can_sign_out: bool
    zone: str
    base_url: str
    version: str = __version__

    def to(self, path: str, **parameters: object) -> str:
        """Return the address of a page, with the selected project and the parameters that are not None."""
        known = {"project": None if self.project is None else self.project.id, **parameters}
        return address(path, known)


def address(path: str, parameters: Mapping[str, object]) -> str:
    """Return a path with the parameters that are not None."""
    query = urlencode({name: str(value) for name, value in parameters.items() if value is not None})
    return f"{quote(path)}?{query}" if query else quote(path)


def chrome_of(seen: Visit, home: str) -> Chrome:
    """Return what is around the page at ``home``."""
    runtime, project = seen.runtime, seen.project
    selected = None if project is None else project.id
    listed = [] if seen.is_shared else listed_projects(runtime)
    return Chrome(
        look=DEFAULT_LOOK if project is None else look_of(project, runtime.brands.of(project)),
        places=[
            Place(title, address(path, {"project": selected}), path == home or (path != "/" and home.startswith(path)))
            for path, title in _PAGES
        ],
        home=home,
        project=None if project is None else choice_of(project),
        choices=[choice_of(one) for one in listed[:CHOICES]],
        has_more_choices=len(listed) > CHOICES,
        is_admin=seen.is_admin,
        is_shared=seen.is_shared,
        can_sign_out=seen.visitor.is_signed_in,
        zone=runtime.loaded.config.timezone,
        base_url=f"{scheme_of(seen.request)}://{seen.request.host}",
    )


def listed_projects(runtime: Runtime) -> list[Project]:
    """Return the projects that are worth a line: the built-in one only where it is the only one, or has sessions."""
    projects = list(runtime.catalog.projects.values())
    return [
        one
        for one in projects
        if one.id != "default" or len(projects) == 1 or one.id in runtime.loaded.config.projects
        or runtime.catalog.default_project == one.id
    ]  # fmt: skip


def choice_of(project: Project) -> Choice:
    """Return a project as it is offered to be selected."""
    return Choice(project.id, project.title, accent_for(project.tags))


def look_of(project: Project, brand: Brand) -> Look:
    """Return a project's brand as its pages show it; addresses change with what they lead to."""
    logo = logo_url(project.id, brand)
    return Look(
        product=brand.product_name or PRODUCT,
        logo=None if logo is None or brand.logo is None else f"{logo}?v={brand.logo.digest}",
        stylesheet=None
        if brand.accent_color is None
        else f"/brand/{project.id}.css?v={brand.accent_color[1:].lower()}",
    )

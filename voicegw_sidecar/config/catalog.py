"""The configuration as the running sidecar asks it: projects, and providers as a project sees them.

An immutable snapshot; a reload, or a project made at run time, makes a new one, and whoever holds the old one finishes
with it. Holds no state of providers; where the file and the database both have a project, the file's is in force.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from msgspec import Struct, UnsetType

from voicegw_sidecar.config.schema import (
    BUILTIN_PROJECT,
    BuiltinProvider,
    Config,
    Dialect,
    Project,
    ProviderEntry,
)
from voicegw_sidecar.errors import UnknownProject, UnknownProvider
from voicegw_sidecar.terms import Secret

NO_ENTRY = ProviderEntry()

V = TypeVar("V")

_ACCENTS = (("prod", "green"), ("stag", "yellow"), ("dev", "blue"), ("test", "blue"))


class Timeouts(Struct, frozen=True):
    """How long a provider is waited for; the total has no limit."""

    connect_s: float = 10.0
    first_byte_s: float = 60.0
    idle_s: float | None = None
    """Silence after the first byte; None is no limit."""


class ProviderSettings(Struct, frozen=True):
    """One provider as one project sees it."""

    id: str
    base_url: str
    api_key: Secret | None = None
    """None lets the agent's own credentials through."""
    dialect: Dialect | None = None
    """None for a built-in provider, which speaks its own."""
    is_local: bool = False
    include_usage: bool = True
    timeouts: Timeouts = Timeouts()


class Catalog:
    """What is configured, looked up by project and provider."""

    __slots__ = ("_builtin", "_config", "_projects")

    def __init__(self, config: Config, builtin: Mapping[str, BuiltinProvider], managed: Iterable[Project] = ()) -> None:
        self._config = config
        self._builtin = MappingProxyType(dict(builtin))
        projects = {BUILTIN_PROJECT: Project(id=BUILTIN_PROJECT), **config.projects}
        for project in managed:
            projects.setdefault(project.id, project)
        self._projects = MappingProxyType(projects)

    @property
    def config(self) -> Config:
        """The configuration file this snapshot is of; without the projects made at run time."""
        return self._config

    @property
    def default_project(self) -> str:
        """The id of the project that work without a project belongs to."""
        return self._config.default_project

    @property
    def projects(self) -> Mapping[str, Project]:
        """Every project by id, the built-in one first."""
        return self._projects

    def project(self, project_id: str) -> Project:
        """Return a project; raises :class:`UnknownProject`."""
        try:
            return self._projects[project_id]
        except KeyError:
            raise UnknownProject(
                f"no project {project_id!r} is configured; add it under projects: or use a configured one"
            ) from None

    def provider_ids(self, project_id: str) -> tuple[str, ...]:
        """Return the providers a project can name: the built-in ones, then the configured ones."""
        own = self.project(project_id).providers
        return tuple(dict.fromkeys((*self._builtin, *self._config.providers, *own)))

    def provider_settings(self, project_id: str, provider_id: str) -> ProviderSettings:
        """Return a provider's settings: the project's own first, then the top level's, then the built-in ones.

        Raises :class:`UnknownProject` and :class:`UnknownProvider`.
        """
        project = self.project(project_id)
        own = project.providers.get(provider_id, NO_ENTRY)
        top = self._config.providers.get(provider_id, NO_ENTRY)
        builtin = self._builtin.get(provider_id)
        base_url = own.base_url or top.base_url or (builtin.base_url if builtin else None)
        if base_url is None:
            raise UnknownProvider(
                f"no provider {provider_id!r} is built in or configured for project {project_id!r}; "
                "add it under providers: with dialect: openai and its base_url"
            )
        usual = Timeouts()
        return ProviderSettings(
            id=provider_id,
            base_url=base_url,
            # an address that was given at run time is sent no key of the file: whoever may call the API could read it
            api_key=own.api_key if project.is_managed and own.base_url else own.api_key or top.api_key,
            dialect=None if builtin else own.dialect or top.dialect,
            is_local=builtin.is_local if builtin else False,
            include_usage=_first(own.include_usage, top.include_usage, True),
            timeouts=Timeouts(
                connect_s=_first(own.timeouts.connect_s, top.timeouts.connect_s, usual.connect_s),
                first_byte_s=_first(own.timeouts.first_byte_s, top.timeouts.first_byte_s, usual.first_byte_s),
                idle_s=_first(own.timeouts.idle_s, top.timeouts.idle_s, usual.idle_s),
            ),
        )


def accent_for(tags: Sequence[str]) -> str:
    """Return the accent's colour word: by the first tag, pink where it tells nothing."""
    first = tags[0].lower() if tags else ""
    return next((accent for part, accent in _ACCENTS if part in first), "pink")


def _first(own: V | UnsetType, top: V | UnsetType, usual: V) -> V:
    """Return the nearest level's value that is set; None counts as set."""
    if not isinstance(own, UnsetType):
        return own
    return usual if isinstance(top, UnsetType) else top

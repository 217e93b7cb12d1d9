"""Projects made and changed: ``create_project``, ``update_project`` and ``set_routing``. No key is taken or told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from voicegw_sidecar.control_client import ControlClient, SaidNo, path_of
from voicegw_sidecar.errors import BadRequest, UnknownProject
from voicegw_sidecar.mcp.change import NOTHING, Confirm, done, flat, preview
from voicegw_sidecar.mcp.told import Project, Status, fetch, send
from voicegw_sidecar.mcp.tool import Answer, Effect, Entry, ProjectId, Tool

Name = Annotated[str, Meta(max_length=128)]
Description = Annotated[str, Meta(max_length=2000)]
Budget = Annotated[float, Meta(ge=0, le=1_000_000_000, description="USD a day; null and 0 are unlimited")]
Action = Literal["warn", "throttle", "block"]
Tags = Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=64)]
BudgetMs = Annotated[int, Meta(ge=1, le=3_600_000, description="what stt, llm and tts may take together")]
Policy = Literal["median", "adaptive"]
Roster = Annotated[list[Entry], Meta(max_length=64, description="the candidates, the preferred ones first")]
_ROUTING = ("budget_ms", "fallback_to_fastest", "failover", "policy")
_ROSTERS = ("stt", "llm", "tts")


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What ``update_project`` may set of a project; what is left out stays."""

    project: ProjectId
    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    daily_budget: Budget | UnsetType | None = UNSET
    budget_action: Action | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    confirm: Confirm = False


class RoutingSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What ``set_routing`` may set; a roster is replaced as a whole."""

    project: ProjectId
    budget_ms: BudgetMs | UnsetType = UNSET
    fallback_to_fastest: bool | UnsetType = UNSET
    failover: bool | UnsetType = UNSET
    policy: Policy | UnsetType = UNSET
    stt: Roster | UnsetType = UNSET
    llm: Roster | UnsetType = UNSET
    tts: Roster | UnsetType = UNSET
    confirm: Confirm = False


class NewProject(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What ``create_project`` takes."""

    project: ProjectId
    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    daily_budget: Budget | UnsetType | None = UNSET
    budget_action: Action | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    budget_ms: BudgetMs | UnsetType = UNSET
    fallback_to_fastest: bool | UnsetType = UNSET
    failover: bool | UnsetType = UNSET
    policy: Policy | UnsetType = UNSET
    stt: Roster | UnsetType = UNSET
    llm: Roster | UnsetType = UNSET
    tts: Roster | UnsetType = UNSET
    confirm: Confirm = False


def create_project(client: ControlClient, asked: NewProject) -> Answer:
    """Make a project, or show it."""
    body = {"project_id": asked.project, **_settings(asked), **_routing(asked)}
    what = f"A new project {asked.project}, in force for the next call"
    if not asked.confirm:
        try:
            fetch(client, path_of("v1", "projects", asked.project), Project)
        except UnknownProject:
            _check_rosters(client, asked)
            return preview(what, NOTHING, flat(body))
        raise BadRequest(f"project: {asked.project} is taken; choose another id, or call update_project")
    made = send(client, "POST", "/v1/projects", Project, body)
    return done(f"Project {asked.project} was made; what", NOTHING, _view(made))


def update_project(client: ControlClient, asked: Settings) -> Answer:
    """Change a project's settings, or show the change."""
    return _patch(client, asked, _settings(asked))


def set_routing(client: ControlClient, asked: RoutingSettings) -> Answer:
    """Change a project's routing, or show the change."""
    return _patch(client, asked, _routing(asked))


def _patch(client: ControlClient, asked: Settings | RoutingSettings, changes: dict[str, Any]) -> Answer:
    if not changes:
        raise BadRequest("nothing to change is named; name at least one setting beside the project")
    project, path = asked.project, path_of("v1", "projects", asked.project)
    found = fetch(client, path, Project)
    if found["source"] == "yaml":
        raise SaidNo(f"project {project} is defined by the configuration file; edit the file instead", "in_file")
    if not asked.confirm:
        if isinstance(asked, RoutingSettings):
            _check_rosters(client, asked, found["providers"])
        return preview(f"Project {project}, for the next call, and", flat(found), flat(changes))
    return done(f"Project {project}: what", _view(found), _view(send(client, "PATCH", path, Project, changes)))


def _check_rosters(client: ControlClient, asked: NewProject | RoutingSettings, own: Iterable[str] = ()) -> None:
    """Refuse an entry whose provider the sidecar does not know, as the sidecar does when the change is made."""
    rosters = _named(asked, _ROSTERS)
    if not any(rosters.values()):
        return
    known = {"local", *own, *fetch(client, "/v1/status", Status)["providers"]}
    for modality, roster in rosters.items():
        for entry in roster:
            if entry.partition("/")[0] not in known:
                raise BadRequest(f"{modality}: found {entry!r}, expected an entry of a provider that the sidecar knows")


def _view(found: Any) -> dict[str, Any]:
    return {name: value for name, value in flat(found).items() if name not in ("id", "accent")}


def _settings(asked: NewProject | Settings) -> dict[str, Any]:
    return _named(asked, ("name", "description", "daily_budget", "budget_action", "tags"))


def _routing(asked: NewProject | RoutingSettings) -> dict[str, Any]:
    rosters = _named(asked, _ROSTERS)
    settings = {**_named(asked, _ROUTING), **({"rosters": rosters} if rosters else {})}
    return {"routing": settings} if settings else {}


def _named(asked: Struct, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what the caller named, null included."""
    return {name: value for name in names if not isinstance(value := getattr(asked, name), UnsetType)}


_IN_FILE = " Projects of the configuration file cannot be changed here: edit the file."
_TWO_STEPS = " Without confirm: true nothing is changed and a preview is returned. Needs an admin key."
TOOLS = (
    Tool(
        "create_project", "Make a project",
        "Makes a project at run time, in force for the next call. Keys cannot be given here." + _TWO_STEPS,
        NewProject, create_project, Effect(is_destructive=False, is_idempotent=True),
    ),
    Tool(
        "update_project", "Change a project",
        "Changes name, description, daily budget, what happens beyond it, and tags of a project made at run time; what "
        "was set before is replaced." + _IN_FILE + _TWO_STEPS,
        Settings, update_project, Effect(is_destructive=True, is_idempotent=True),
    ),
    Tool(
        "set_routing", "Change a project's routing",
        "Changes latency budget, rosters and policy of a project made at run time, for sessions that begin afterwards; "
        "a roster is replaced as a whole." + _IN_FILE + _TWO_STEPS,
        RoutingSettings, set_routing, Effect(is_destructive=True, is_idempotent=True),
    ),
)  # fmt: skip

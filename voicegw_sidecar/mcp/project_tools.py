"""Projects made and changed: ``create_project``, ``update_project`` and ``set_routing``. No key is taken or told."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from voicegw_sidecar.control_client import ControlClient, SaidNo, path_of, told
from voicegw_sidecar.errors import BadRequest, UnknownProject
from voicegw_sidecar.mcp.change import NOTHING, Confirm, done, flat, preview
from voicegw_sidecar.mcp.tool import Answer, Effect, Entry, ProjectId, Tool

Name = Annotated[str, Meta(max_length=128)]
Description = Annotated[str, Meta(max_length=2000)]
Budget = Annotated[float, Meta(ge=0, description="USD a day; null is unlimited")]
Action = Literal["warn", "throttle", "block"]
Tags = Annotated[list[Annotated[str, Meta(max_length=64)]], Meta(max_length=64)]
BudgetMs = Annotated[int, Meta(ge=1, description="what stt, llm and tts may take together")]
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
            client.ask("GET", path_of("v1", "projects", asked.project))
        except UnknownProject:
            return preview(what, NOTHING, flat(body))
        raise BadRequest(f"project: {asked.project} is taken; choose another id, or call update_project")
    made = client.ask("POST", "/v1/projects", body)
    return done(f"Project {asked.project} was made; what", NOTHING, _view(made))


def update_project(client: ControlClient, asked: Settings) -> Answer:
    """Change a project's settings, or show the change."""
    return _patch(client, asked.project, _settings(asked), is_confirmed=asked.confirm)


def set_routing(client: ControlClient, asked: RoutingSettings) -> Answer:
    """Change a project's routing, or show the change."""
    return _patch(client, asked.project, _routing(asked), is_confirmed=asked.confirm)


def _patch(client: ControlClient, project: str, changes: dict[str, Any], *, is_confirmed: bool) -> Answer:
    if not changes:
        raise BadRequest("nothing to change is named; name at least one setting beside the project")
    path = path_of("v1", "projects", project)
    found = client.ask("GET", path)
    if told(found, "source") == "yaml":
        raise SaidNo(f"project {project} is defined by the configuration file; edit the file instead", "in_file")
    if not is_confirmed:
        return preview(f"Project {project}, for the next call, and", flat(found), flat(changes))
    return done(f"Project {project}: what", _view(found), _view(client.ask("PATCH", path, changes)))


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

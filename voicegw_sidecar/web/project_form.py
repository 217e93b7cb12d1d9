"""Projects made, changed and deleted on a page: the form, and what it means as settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.upload import read_fields
from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.managed_projects import Settings
from voicegw_sidecar.operating import projects
from voicegw_sidecar.web.chrome import address, chrome_of
from voicegw_sidecar.web.render import draw, see_other
from voicegw_sidecar.web.visit import Visit, only_admins, visit

_MODALITIES = ("stt", "llm", "tts")


class ProjectForm(Struct, frozen=True):
    """The form; ``project_id`` is None for a new project. ``fields`` are texts as they are edited."""

    project_id: str | None
    fields: dict[str, str]
    error: str | None


class DeletePage(Struct, frozen=True):
    """The question before a project is deleted."""

    project_id: str
    error: str | None


async def new(request: web.Request) -> web.Response:
    """``GET /projects/new``"""
    seen = visit(request)
    only_admins(seen)
    return await _form(seen, None, fields_of({}), None, 200)


async def create(request: web.Request) -> web.Response:
    """``POST /projects/new``"""
    seen = visit(request)
    only_admins(seen)
    sent = await read_fields(request)
    project_id = sent.get("project_id", "").strip()
    try:
        await projects.create(seen.runtime, seen.visitor.actor, project_id, settings_of({}, sent))
    except SidecarError as error:
        return await _form(seen, None, sent, _told(error), error.status)
    return see_other(address("/projects", {"project": seen.project_id}))


async def edit(request: web.Request) -> web.Response:
    """``GET /projects/{id}/edit``"""
    seen = visit(request)
    only_admins(seen)
    project_id = request.match_info["id"]
    projects.changeable(seen.runtime, project_id)
    settings = projects.settings_for_page(seen.runtime, project_id)
    return await _form(seen, project_id, fields_of(settings), None, 200)


async def change(request: web.Request) -> web.Response:
    """``POST /projects/{id}/edit``"""
    seen = visit(request)
    only_admins(seen)
    project_id, sent = request.match_info["id"], await read_fields(request)
    before = projects.settings_for_page(seen.runtime, project_id)
    try:
        await projects.patch(seen.runtime, seen.visitor.actor, project_id, patch_of(before, settings_of(before, sent)))
    except SidecarError as error:
        return await _form(seen, project_id, sent, _told(error), error.status)
    return see_other(address("/projects", {"project": seen.project_id}))


async def ask_delete(request: web.Request) -> web.Response:
    """``GET /projects/{id}/delete``"""
    seen = visit(request)
    only_admins(seen)
    projects.changeable(seen.runtime, request.match_info["id"])
    template = "parts/project_delete.html" if seen.is_part else "pages/project_delete.html"
    page = DeletePage(request.match_info["id"], None)
    return await draw(request, seen.runtime, template, chrome_of(seen, "/projects"), page)


async def delete(request: web.Request) -> web.Response:
    """``POST /projects/{id}/delete`` with the field ``purge``"""
    seen = visit(request)
    only_admins(seen)
    sent, project_id = await read_fields(request), request.match_info["id"]
    await projects.delete(seen.runtime, seen.visitor.actor, project_id, is_purge=bool(sent.get("purge")))
    selected = None if seen.project_id == project_id else seen.project_id
    return see_other(address("/projects", {"project": selected}))


def fields_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return settings as the texts of the form; what the form has no field for is left alone."""
    routing, stand_ins = _mapping(settings.get("routing")), _mapping(settings.get("throttle_to"))
    rosters = _mapping(routing.get("rosters"))
    fields = {
        "name": _text(settings.get("name")),
        "description": _text(settings.get("description")),
        "daily_budget": _text(settings.get("daily_budget")),
        "budget_action": _text(settings.get("budget_action")) or "warn",
        "tags": _list(settings.get("tags")),
        "agent_key_envs": _list(settings.get("agent_key_envs")),
        "budget_ms": _text(routing.get("budget_ms")),
        "fallback_to_fastest": "" if routing.get("fallback_to_fastest") is False else "on",
        "failover": "on" if routing.get("failover") is True else "",
        "policy": _text(routing.get("policy")) or "median",
        "provider_keys": "\n".join(
            f"{provider} = {entry['api_key_env']}"
            for provider, entry in _mapping(settings.get("providers")).items()
            if isinstance(entry, dict) and entry.get("api_key_env")
        ),
    }
    for modality in _MODALITIES:
        fields[f"roster_{modality}"] = _list(rosters.get(modality))
        fields[f"throttle_{modality}"] = _text(stand_ins.get(modality))
    return fields


def settings_of(before: Mapping[str, Any], sent: Mapping[str, str]) -> Settings:
    """Return settings as a form says them, over those there were; an empty field is a setting left out."""

    def text(name: str) -> str:
        return sent.get(name, "").strip()

    routing = {
        **_mapping(before.get("routing")),
        "budget_ms": _number(text("budget_ms")),
        "fallback_to_fastest": None if text("fallback_to_fastest") else False,
        "failover": True if text("failover") else None,
        "policy": text("policy") if text("policy") != "median" else None,
        "rosters": _kept({modality: _items(text(f"roster_{modality}")) for modality in _MODALITIES}),
    }
    return _kept({
        **before,
        "name": text("name"),
        "description": sent.get("description", "").replace("\r\n", "\n").strip(),
        "daily_budget": _number(text("daily_budget")),
        "budget_action": text("budget_action") if text("budget_action") != "warn" else None,
        "tags": _items(text("tags")),
        "agent_key_envs": _items(text("agent_key_envs")),
        "providers": _providers(_mapping(before.get("providers")), text("provider_keys")),
        "routing": _kept(routing),
        "throttle_to": _kept({modality: text(f"throttle_{modality}") for modality in _MODALITIES}),
    })  # fmt: skip


def patch_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch that makes ``after`` of ``before``."""
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, dict):
            patch[name] = patch_of(old if isinstance(old, dict) else {}, value)
        elif value != old:
            patch[name] = value
    return patch


def _providers(before: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Read lines of ``provider = VARIABLE``; a line of any other form stays, for the check to name it."""
    found: dict[str, Any] = {
        provider: {key: value for key, value in _mapping(entry).items() if key != "api_key_env"}
        for provider, entry in before.items()
    }
    for line in filter(None, map(str.strip, text.splitlines())):
        provider, _, name = line.partition("=")
        found.setdefault(provider.strip(), {})["api_key_env"] = name.strip()
    return {provider: entry for provider, entry in found.items() if entry}


def _kept(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value not in (None, "", [], {})}


def _number(text: str) -> object:
    """Return a number; any other text as it is, for the check to say what was found."""
    if not text:
        return None
    try:
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else float(text)
    except ValueError:
        return text


def _items(text: str) -> list[str]:
    return [item for part in text.replace("\n", ",").split(",") if (item := part.strip())]


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _list(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else _text(value)


def _told(error: SidecarError) -> str:
    if error.status >= 500:
        raise error
    return error.message


async def _form(
    seen: Visit, project_id: str | None, fields: dict[str, str], error: str | None, status: int
) -> web.Response:
    page = ProjectForm(
        project_id, {**fields_of({}), **({} if error is None else {"fallback_to_fastest": ""}), **fields}, error
    )
    template = "parts/project_form.html" if seen.is_part else "pages/project_form.html"
    return await draw(seen.request, seen.runtime, template, chrome_of(seen, "/projects"), page, status)

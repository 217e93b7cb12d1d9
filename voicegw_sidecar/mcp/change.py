"""A change that is shown before it is made: what is now, what would be, field by field. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta

from voicegw_sidecar.mcp.tool import Answer
from voicegw_sidecar.mcp.untrusted import named, safe

Confirm = Annotated[bool, Meta(description="false changes nothing and shows what would change; true changes it")]
NOTHING: Mapping[str, Any] = {}


def preview(what: str, now: Mapping[str, Any], wanted: Mapping[str, Any]) -> Answer:
    """Return what would change; nothing has."""
    fields = [
        {"field": name, "now": safe(now.get(name), _last(name)), "would_be": safe(value, _last(name))}
        for name, value in wanted.items()
    ]
    lines = [
        f"Nothing was changed. {what} would change, if the sidecar takes it:",
        *(f"  {one['field']}: now {_shown(one, 'now')}, would be {_shown(one, 'would_be')}" for one in fields),
        "To do it, call again with the same arguments and confirm: true. Ask the person first.",
    ]
    return Answer("\n".join(lines), {"changed": False, "needs_confirm": True, "preview": fields})


def done(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Answer:
    """Return what has changed."""
    fields = [
        {"field": name, "was": safe(before.get(name), _last(name)), "is": safe(value, _last(name))}
        for name, value in after.items()
        if before.get(name) != value
    ]
    lines = [
        f"{what} changed:" if fields else f"{what}: all was as asked for already.",
        *(f"  {one['field']}: was {_shown(one, 'was')}, is {_shown(one, 'is')}" for one in fields),
    ]
    return Answer("\n".join(lines), {"changed": bool(fields), "changes": fields})


def flat(settings: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return settings within settings by their dotted paths."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        found |= flat(value, f"{path}{name}.") if isinstance(value, dict) else {f"{path}{name}": value}
    return found


def _shown(one: Mapping[str, Any], when: str) -> str:
    return named(_last(one["field"]), one[when], null="not set")


def _last(path: str) -> str:
    return path.rpartition(".")[2]

"""Text that others wrote is marked wherever a tool returns it.

An agent chooses session ids and model names, a provider its errors; a reader of this server's answers is a language
model, which could take such a text for an instruction. So every text of an answer is marked but those that `OURS`
knows: fields of the sidecar's own vocabulary, and only as long as what is in them looks like it. What a later version
of the API adds is marked until it is named here.

A marked text is ``{"untrusted_text": "…"}``, in structured content and in text alike: as JSON, it cannot end its own
mark.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import msgspec

MARK = "untrusted_text"
LONGEST_CHARS = 300
UNKNOWN = "unknown"
_WORD, _ID = r"[a-z][a-z0-9_]{0,31}", r"[a-z0-9][a-z0-9_-]{0,63}"
_MOMENT = r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,6})?Z)?"
_ADDRESS = r"https?://[A-Za-z0-9.:\[\]-]{1,255}(/[\w./~-]{0,500})?"
OURS = {
    # what the sidecar itself says of things, in a word
    **dict.fromkeys(
        ("status", "modality", "first_ms_basis", "cost_source", "origin", "outcome", "period", "state", "budget_status",
         "budget_action", "policy", "accent", "part"),
        _WORD,
    ),
    "source": r"[a-z][a-z_-]{0,31}",
    # what the operator's configuration names
    **dict.fromkeys(("project", "provider", "default_project", "project_id", "providers", "stt", "llm", "tts"), _ID),
    "timezone": r"[A-Za-z0-9_+/-]{1,64}",
    "accent_color": r"#[0-9A-Fa-f]{3,6}",
    "logo_url": r"/static/branding/[a-z0-9_.?=-]{1,200}",
    **dict.fromkeys(("url", "base_url"), _ADDRESS),
    # moments, versions and ids of the sidecar's own making, in which there is no room for words
    **dict.fromkeys(("day", "started_at", "ended_at", "created_at", "expires_at"), _MOMENT),
    "version": r"[0-9][0-9a-z.+-]{0,31}",
    **dict.fromkeys(("id", "next"), r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}"),
}  # fmt: skip
"""Fields whose text is passed on unmarked, and what it then looks like."""
KEYED = {
    "by_provider": "provider", "by_model": "model", "by_modality": "modality", "by_project": "project",
    "stats": "project", "projects": "project", "providers": "provider",
    "projects_not_in_force": "project", "logo_errors": "project",
}  # fmt: skip
"""Objects whose keys are data. Each becomes a list, and the key a field of this name: a key cannot be marked."""
WITHOUT = {
    "daily_budget": "unlimited", "error": "none", "config_error": "none", "config_path": "none", "variant": "none",
}  # fmt: skip
"""Fields in which null is not unknown, and what it is."""
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and a symbol, for Unicode, that show nothing."""
_JOINERS = (0x034F, 0x17B4, 0x17B5)


def marked(text: str) -> dict[str, str]:
    """Return a text that others wrote, marked: the one place where that is done.

    Bounded, and everything that is not seen, or turns the direction of what is seen, by its code point.
    """
    shown = visible(text[:LONGEST_CHARS])
    return {MARK: shown if len(text) <= LONGEST_CHARS else f"{shown}… ({len(text)} characters in all)"}


def visible(text: str) -> str:
    """Return a text with its control, format, bidirectional and other unseen characters written out."""
    return "".join(char if _is_seen(char) else f"<U+{ord(char):04X}>" for char in text)


def safe(value: Any, field: str = "") -> Any:
    """Return a value of an answer, in the field of that name, with every text marked that `OURS` does not know."""
    match value:
        case str():
            pattern = OURS.get(field)
            return value if pattern is not None and re.fullmatch(pattern, value, re.ASCII) else marked(value)
        case list():
            return [safe(one, field) for one in value]
        case dict():
            return _safe_object(value, field)
        case _:
            return value


def shown(value: Any) -> str:
    """Return a value of content that is safe already, as a tool's text has it: unknown where it is null."""
    match value:
        case None:
            return UNKNOWN
        case str():
            return value
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(shown, value)) or "none"
        case float():
            return f"{value:.9f}".rstrip("0").rstrip(".")
        case dict() if MARK not in value:
            return ", ".join(f"{name} {_within(name, one)}" for name, one in value.items()) or "none"
        case _:
            return msgspec.json.encode(value).decode()


def named(field: str, value: Any, null: str = UNKNOWN) -> str:
    """Return the same of the field of that name, where null may mean that there is none."""
    return WITHOUT.get(field, null) if value is None else shown(value)


def _within(field: str, value: Any) -> str:
    is_several = isinstance(value, dict | list) and len(value) > 0 and MARK not in value
    return f"({shown(value)})" if is_several else named(field, value)


def in_text(value: Any, field: str = "") -> str:
    """Return a value of an answer as a tool's text has it."""
    return shown(safe(value, field))


def _safe_object(value: dict[str, Any], field: str) -> Any:
    key = KEYED.get(field)
    if key is None and all(_FIELD.fullmatch(name) for name in value):
        return {name: safe(one, name) for name, one in value.items()}
    entries = []
    for name, one in value.items():
        entry = {key or "name": safe(name, key or "")}
        entries.append({**entry, **safe(one)} if isinstance(one, dict) else {**entry, "value": safe(one)})
    return entries


def _is_seen(char: str) -> bool:
    category = unicodedata.category(char)
    return char == " " or not (category[0] in "CZ" or char in _BLANK or _joins_unseen(char))


def _joins_unseen(char: str) -> bool:
    """Say whether it is a mark that changes nothing one sees: variation selectors and the like."""
    point = ord(char)
    return point in _JOINERS or 0x180B <= point <= 0x180F or 0xFE00 <= point <= 0xFE0F or point >= 0xE0000

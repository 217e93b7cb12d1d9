"""Whom calls are for, in the current async context, and the addresses that say so.

A task that sets a project or a session sets it for itself and for what it starts afterwards: the tasks beside it and
the one that started it keep theirs.
"""

from __future__ import annotations

import os
import re
from contextvars import ContextVar
from typing import NamedTuple
from urllib.parse import urlsplit

DEFAULT_URL = "http://127.0.0.1:8080"
PROVIDERS = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_OWN_PATHS = (
    "v1 p s api mcp static brand share login logout health ready metrics routing sessions projects costs logs"
    " v2 v3 stt tts local demo"
)
RESERVED = frozenset(_OWN_PATHS.split())
"""First words of the sidecar's own paths: no provider is called so."""
_PROJECTS = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_VISIBLE = re.compile(r"[!-~]+")
_SESSIONS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")

_project: ContextVar[str | None] = ContextVar("voicegw_project", default=None)
_session: ContextVar[tuple[str, str | None] | None] = ContextVar("voicegw_session", default=None)
"""The session's id, and the project that it was set for: an id means one conversation of one project."""


class Scope(NamedTuple):
    """What is set in a context, to be put back."""

    project: str | None
    session: tuple[str, str | None] | None


def current_scope() -> Scope:
    """Return what is set here, without what the environment adds."""
    return Scope(_project.get(), _session.get())


def put_back(scope: Scope) -> None:
    """Set what was set before."""
    _project.set(scope.project)
    _session.set(scope.session)


def set_project(project: str | None) -> None:
    """Let what is made from here on in this context be charged to a project; None goes back to the default.

    Raises `ValueError` for what cannot be a project's id. Whether there is such a project the sidecar says.
    """
    if project is not None and not _PROJECTS.fullmatch(project):
        raise ValueError(f"project: found {project[:70]!r}, expected up to 64 of a-z, 0-9, _ and -, such as 'prod'")
    _project.set(project)


def set_session(session: str | None) -> None:
    """Let what is made from here on in this context belong to a conversation of the current project; None to none."""
    if session is not None and not _SESSIONS.fullmatch(session):
        raise ValueError(
            f"session: found {session[:70]!r}, expected up to 64 letters, digits and _ . : -, such as 'call-42'"
        )
    _session.set(None if session is None else (session, current_project()))


def current_project() -> str | None:
    """Return the project that is set here, else ``VOICEGW_PROJECT``; None leaves it to ``default_project``."""
    chosen = _project.get()
    if chosen is not None:
        return chosen
    named = os.environ.get("VOICEGW_PROJECT") or None
    if named is not None and not _PROJECTS.fullmatch(named):
        raise ValueError(f"VOICEGW_PROJECT: found {named[:70]!r}, expected the id of a project, such as 'prod'")
    return named


def current_session() -> str | None:
    """Return the session that is set here for the current project, or None."""
    held = _session.get()
    return held[0] if held is not None and held[1] == current_project() else None


def sidecar_url() -> str:
    """Return the sidecar's own address: ``VOICEGW_URL``, by default http://127.0.0.1:8080.

    Raises `ValueError` where the variable holds no address; what it holds is not repeated.
    """
    text = os.environ.get("VOICEGW_URL", "").strip() or DEFAULT_URL
    if not _is_address(text):
        raise ValueError(f"VOICEGW_URL: expected an address such as {DEFAULT_URL}, without user and query")
    parts = urlsplit(text)
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def base_url(provider: str, *, project: str | None = None, session: str | None = None) -> str:
    """Return what a provider's documented paths are appended to, for any SDK: ``http://…/p/prod/s/call-42/openai``.

    Project and session are those of the context unless they are named. OpenAI's clients want ``/v1`` after it.
    """
    if not PROVIDERS.fullmatch(provider) or provider in RESERVED:
        raise ValueError(f"provider: found {provider[:70]!r}, expected a provider's id, such as 'openai'")
    return f"{_root(project, session)}/{provider}"


def ws_url(provider: str, *, project: str | None = None, session: str | None = None) -> str:
    """Return `base_url` for clients that want a WebSocket's address."""
    return as_ws(base_url(provider, project=project, session=session))


def unified_url(*, project: str | None = None, session: str | None = None) -> str:
    """Return the address of the unified endpoints: OpenAI's and LiveKit Inference's, ``http://…/p/prod/s/call-42/v1``."""
    return f"{_root(project, session)}/v1"


def as_ws(url: str) -> str:
    """Return an http address with a WebSocket's scheme."""
    return "ws" + url.removeprefix("http")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        (parts.hostname or "").encode("idna")
    except ValueError:  # a UnicodeError too
        return False
    return (
        is_usable
        and _VISIBLE.fullmatch(text) is not None
        and not ("@" in parts.netloc or parts.query or parts.fragment)
    )


def _root(project: str | None, session: str | None) -> str:
    from voicegw_sidecar.inference.autostart import ensure_running

    project = project or current_project()
    if session is None:
        held = _session.get()
        session = held[0] if held is not None and held[1] == project else None
    for text, known, what in ((project, _PROJECTS, "project"), (session, _SESSIONS, "session")):
        if text is not None and not known.fullmatch(text):
            raise ValueError(f"{what}: found {text[:70]!r}, expected an id")
    url = ensure_running(sidecar_url())
    return f"{url}{f'/p/{project}' if project else ''}{f'/s/{session}' if session else ''}"

"""From a raw request target to what it addresses: project, session, provider and the provider's own path.

Pure parsing: whether a project exists is not asked here. Paths and queries are kept as they were written;
only doubled slashes and the known slips of base URLs are mended (contract §1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote

from msgspec import Struct

from voicegw_sidecar.errors import BadRequest, NotFound, UnknownProvider
from voicegw_sidecar.providers.base import Provider

_PROJECT_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_SLASHES = re.compile(r"/{2,}")
_PROJECT_HEADER, _SESSION_HEADERS = "x-voicegw-project", ("x-voicegw-session", "x-livekit-job-id", "x-livekit-room-id")


class Target(Struct, frozen=True):
    """What a request addresses. ``project`` is None where nothing names one; ``query`` is raw, without ``?``."""

    project: str | None
    session_id: str | None
    provider: str
    path: str
    query: str

    def parameters(self) -> tuple[tuple[str, str], ...]:
        """Return the decoded query, blank values included."""
        return tuple(parse_qsl(self.query, keep_blank_values=True))


def parse(target: str, headers: Mapping[str, str], providers: Mapping[str, Provider], *, is_socket: bool) -> Target:
    """Read a request target; ``headers`` has lower-case names.

    Raises `BadRequest` for ids and paths that cannot be, `UnknownProvider` or `NotFound` where nothing is.
    """
    raw_path, _, query = target.partition("#")[0].partition("?")
    path = _SLASHES.sub("/", raw_path if raw_path.startswith("/") else f"/{raw_path}")
    _refuse_climbing(path)
    project, path = _named("p", path)
    session_id, path = _named("s", path)
    project = project if project is not None else headers.get(_PROJECT_HEADER)
    if project is not None and _PROJECT_ID.fullmatch(project) is None:
        raise BadRequest(f"project: found {_shown(project)}, expected a project id: lower-case letters, digits, - or _")
    if session_id is None:
        session_id = next((headers[name] for name in _SESSION_HEADERS if headers.get(name)), None)
    if session_id is not None and _SESSION_ID.fullmatch(session_id) is None:
        raise BadRequest(f"session: found {_shown(session_id)}, expected up to 64 of letters, digits and _ . : -")
    provider, path = _provider(path, providers, is_socket=is_socket)
    return Target(project, session_id, provider.id, path, query)


def _refuse_climbing(path: str) -> None:
    """No provider has such paths; with one a request could leave the address its provider is configured at."""
    decoded = unquote(path)
    if "\\" in decoded or any(segment in (".", "..") for segment in decoded.split("/")):
        raise BadRequest("path: found a '.' or '..' segment or a backslash; expected the provider's documented path")
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in decoded):
        raise BadRequest("path: found a control character; expected the provider's documented path")


def _named(marker: str, path: str) -> tuple[str | None, str]:
    """Take ``/p/{id}`` or ``/s/{id}`` off the front."""
    parts = path.split("/", 3)
    if len(parts) < 3 or parts[1] != marker:
        return None, path
    return unquote(parts[2]), f"/{parts[3]}" if len(parts) > 3 else "/"


def _provider(path: str, providers: Mapping[str, Provider], *, is_socket: bool) -> tuple[Provider, str]:
    first, _, rest = path[1:].partition("/")
    if first in providers:
        provider = providers[first]
        return provider, _mended(f"/{rest}", provider, is_socket=is_socket)
    for provider in providers.values():
        if any(path == root or path.startswith(f"{root}/") for root in provider.root_paths):
            return provider, path
    if first in ("", "v1"):
        raise NotFound(f"nothing is served at {_shown(path)}; expected /<provider>/<its documented path>")
    known = ", ".join(sorted(providers))
    raise UnknownProvider(f"provider {_shown(first)} is not known; expected one of {known}, or one declared in YAML")


def _mended(path: str, provider: Provider, *, is_socket: bool) -> str:
    """Repair the slips of base URLs that real clients make."""
    if path == "/" and provider.bare_root and is_socket:
        return provider.bare_root
    if provider.id == "groq" and path.startswith("/openai/v1/openai/v1/"):
        return path.removeprefix("/openai/v1")
    first = path[1:].partition("/")[0]
    return f"/v1{path}" if first in provider.missing_v1 else path


def _shown(text: str) -> str:
    """A caller's text in a message: short, and without anything that could forge a log line."""
    return repr(text[:64])

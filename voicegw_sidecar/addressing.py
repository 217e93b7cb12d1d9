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
SESSION_IDS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
_SLASHES = re.compile(r"/{2,}")
UNIFIED = "v1"
"""Stands for the provider where a call is for a unified endpoint: the sidecar chooses who serves it."""
_UNIFIED_ROOT = ("/v1", "/v1/")
_UNIFIED_HTTP = ("chat", "audio", "models")
_UNIFIED_SOCKETS = ("stt", "tts", "eot", "bargein")
_REALTIME_PROVIDER = "openai"
_PROJECT_HEADER, _SESSION_HEADERS = "x-voicegw-project", ("x-voicegw-session", "x-livekit-job-id", "x-livekit-room-id")


class Target(Struct, frozen=True):
    """What a request addresses. ``project`` is None where nothing names one; ``query`` is raw, without ``?``.

    Of a unified endpoint ``provider`` is `UNIFIED`, and ``path`` begins with ``/v1``.
    """

    project: str | None
    session_id: str | None
    provider: str
    path: str
    query: str

    def parameters(self) -> tuple[tuple[str, str], ...]:
        """Return the decoded query, blank values included."""
        return tuple(parse_qsl(self.query, keep_blank_values=True))


def is_session_id(text: str) -> bool:
    """Say whether a text can be the id that an agent gives a session."""
    return SESSION_IDS.fullmatch(text) is not None


def parse(
    target: str, headers: Mapping[str, str], providers: Mapping[str, Provider], *, method: str, is_socket: bool
) -> Target:
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
    if session_id is not None and SESSION_IDS.fullmatch(session_id) is None:
        raise BadRequest(f"session: found {_shown(session_id)}, expected up to 64 of letters, digits and _ . : -")
    call = _Call(method, is_socket, headers.get("user-agent", ""), query)
    unified = _unified(path, providers, call)
    if unified is not None:
        return Target(project, session_id, UNIFIED, unified, query)
    provider, path = _provider(path, providers, call)
    path, query = _mended(path, provider, call)
    return Target(project, session_id, provider.id, path, query)


class _Call(Struct, frozen=True):
    """What besides the path tells which endpoint was meant."""

    method: str
    is_socket: bool
    user_agent: str
    query: str

    @property
    def is_realtime(self) -> bool:
        """LiveKit's realtime clients name themselves; its responses client does not, but its models do not say so."""
        parameters = dict(parse_qsl(self.query))
        is_named = "realtime" in parameters.get("model", "") or "intent" in parameters
        return is_named or self.user_agent.startswith("LiveKit Agents")


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


def _unified(path: str, providers: Mapping[str, Provider], call: _Call) -> str | None:
    """Return the path of a unified endpoint, with the ``/v1`` that a base URL left out; None for anything else."""
    first, _, rest = path[1:].partition("/")
    name = rest if first == "v1" else path[1:]
    head = name.partition("/")[0]
    if first in providers or (name in ("stt", "tts") and not call.is_socket):
        return None
    is_ours = name.rstrip("/") in _UNIFIED_SOCKETS if call.is_socket else head in _UNIFIED_HTTP
    return f"/v1/{name.rstrip('/')}" if is_ours or name in _UNIFIED_SOCKETS else None


def _provider(path: str, providers: Mapping[str, Provider], call: _Call) -> tuple[Provider, str]:
    first, _, rest = path[1:].partition("/")
    if first in providers:
        return providers[first], f"/{rest}"
    for provider in providers.values():
        if any(path == root or path.startswith(f"{root}/") for root in provider.root_paths):
            return provider, path
    if path in _UNIFIED_ROOT and call.is_socket:
        return providers[_REALTIME_PROVIDER], "/v1/realtime"
    if first in ("", "v1"):
        raise NotFound(f"nothing is served at {_shown(path)}; expected /<provider>/<its documented path>")
    known = ", ".join(sorted(providers))
    raise UnknownProvider(f"provider {_shown(first)} is not known; expected one of {known}, or one declared in YAML")


def _mended(path: str, provider: Provider, call: _Call) -> tuple[str, str]:
    """Repair the slips of base URLs that real clients make; return path and raw query."""
    query = call.query
    if path.rstrip("/") in ("", "/v1") and provider.bare_root and (call.is_socket or call.method == "POST"):
        path = provider.bare_realtime_root if provider.bare_realtime_root and call.is_realtime else provider.bare_root
    else:
        path = _with_api_root(path, provider)
    return path, query if provider.mend_query is None else provider.mend_query(path, query)


def _with_api_root(path: str, provider: Provider) -> str:
    root = provider.api_root
    head, _, tail = root.rpartition("/")
    if path.startswith(f"{root}{root}/"):
        return path.removeprefix(root)
    if path.startswith(f"{root}/"):
        return path
    if head and path.startswith((f"{head}/", f"/{tail}/")):  # a part of it: /openai/… or /v1/… for /openai/v1/…
        return root + path.removeprefix(head).removeprefix(f"/{tail}")
    return root + path if path[1:].partition("/")[0] in provider.missing_v1 else path


def _shown(text: str) -> str:
    """A caller's text in a message: short, and without anything that could forge a log line."""
    return repr(text[:64])

"""Who may do what: Host and Origin rules, loopback, and bearer keys. Deny is the default.

Pure: it is given what a request says of itself and answers with a role or raises. Keys are compared by
digest, in constant time.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from msgspec import Struct

from voicegw_sidecar.errors import BadHost, CrossSite, Forbidden, Unauthorized
from voicegw_sidecar.terms import Secret

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]@/\s]+)(?::(\d{1,5}))?")
_FORWARDED_PREFIX, _FORWARDED = "x-forwarded-", ("forwarded", "x-real-ip")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Area(enum.Enum):
    """What kind of place a request is for."""

    OPEN = "open"
    """Health, readiness and the sidecar's own static files: for anyone."""
    DATA = "data"
    """The provider paths that agents use."""
    SESSION = "session"
    """The sessions of the API, which a project's own agents may open, see and close."""
    API = "api"
    PAGE = "page"


class Role(enum.Enum):
    """What a caller may do."""

    NOBODY = "nobody"
    STRANGER = "stranger"
    """An agent from off this machine: it is let in by an agent key alone."""
    AGENT = "agent"
    """An agent that presents its project's key."""
    VIEWER = "viewer"
    ADMIN = "admin"


class Caller(Struct, frozen=True):
    """What a request says of itself. ``headers`` are pairs as they came; ``peer`` is an IP address."""

    method: str
    scheme: str
    headers: Sequence[tuple[str, str]]
    peer: str

    def values(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key.lower() == name]

    def value(self, name: str) -> str | None:
        """Return a header's first value."""
        return next(iter(self.values(name)), None)


class Access:
    """The rules of one configuration."""

    def __init__(
        self,
        api_keys: Sequence[Secret],
        viewer_keys: Sequence[Secret],
        allowed_hosts: Sequence[str] = (),
        public_url: str | None = None,
    ) -> None:
        self._admin_digests = [_digest(key.reveal()) for key in api_keys]
        self._viewer_digests = [_digest(key.reveal()) for key in viewer_keys]
        self._public_origin = _origin(public_url) if public_url else None
        names = [host.lower() for host in allowed_hosts]
        if public_url:
            names.append((urlsplit(public_url).hostname or "").lower())
        self._allowed_names = frozenset(names)

    def check(self, caller: Caller, area: Area, *, has_agent_key: bool = False) -> Role:
        """Return the caller's role for this area, or raise what refuses it."""
        host = self._host(caller)
        self._refuse_cross_site(caller, host, area)
        if area is Area.OPEN:
            return Role.NOBODY
        is_near = _is_loopback(caller, host)
        if area is Area.DATA:
            return Role.NOBODY if is_near else Role.STRANGER
        if area is Area.SESSION and has_agent_key:
            return Role.AGENT
        role = self._role(caller, is_near=is_near)
        if role is Role.VIEWER and caller.method not in _SAFE_METHODS:
            raise Forbidden("this key may read and not change; use an admin key")
        return role

    def _role(self, caller: Caller, *, is_near: bool) -> Role:
        if not self._admin_digests:
            if is_near:
                return Role.ADMIN
            raise Unauthorized("no key is configured, so this is open to this machine only; set VOICEGW_API_KEY")
        kind, _, key = (caller.value("authorization") or "").partition(" ")
        if kind.lower() != "bearer" or not key:
            raise Unauthorized("a key is needed: send Authorization: Bearer <key>")
        digest = _digest(key.strip())
        if any(hmac.compare_digest(digest, known) for known in self._admin_digests):
            return Role.ADMIN
        if any(hmac.compare_digest(digest, known) for known in self._viewer_digests):
            return Role.VIEWER
        raise Unauthorized("this key is not known here")

    def _host(self, caller: Caller) -> str:
        """Return the Host's name if it is one of ours: anything else is a rebinding or a missing setting."""
        values = caller.values("host")
        match = _HOST.fullmatch(values[0]) if len(values) == 1 else None
        if match is None:
            raise BadHost("found no usable Host header, expected exactly one")
        name = match.group(1).lower()
        if not (is_loopback_name(name) or name in self._allowed_names or values[0].lower() in self._allowed_names):
            raise BadHost(f"found Host {values[0][:80]!r}; add it to serve.allowed_hosts if it is this sidecar's")
        return name

    def _refuse_cross_site(self, caller: Caller, host: str, area: Area) -> None:
        """No web page but our own may use the sidecar; SDKs send neither Origin nor Sec-Fetch-Site."""
        origin = caller.value("origin")
        if origin is not None:
            own = {f"{caller.scheme}://{caller.value('host')}".lower(), self._public_origin}
            if origin.lower() not in own:
                raise CrossSite("a page of another site may not use this sidecar")
        site = (caller.value("sec-fetch-site") or "").lower()
        if site in ("cross-site", "same-site"):
            is_navigation = caller.value("sec-fetch-mode") == "navigate" and caller.method == "GET"
            if not (is_navigation and area is Area.PAGE):
                raise CrossSite("a page of another site may not use this sidecar")


@lru_cache(maxsize=256)
def is_loopback_name(name: str) -> bool:
    """Say whether a Host's name means this machine: localhost or a loopback address."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_loopback(caller: Caller, host: str) -> bool:
    """On this machine, by the strict reading: peer, Host, and no sign of a proxy between."""
    return (
        is_loopback_name(caller.peer.partition("%")[0])
        and is_loopback_name(host)
        and not any(_is_forwarding(name.lower()) for name, _ in caller.headers)
    )


def _is_forwarding(name: str) -> bool:
    return name.startswith(_FORWARDED_PREFIX) or name in _FORWARDED


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()

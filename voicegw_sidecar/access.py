"""Who may do what: Host and Origin rules, loopback, bearer keys and what a cookie stands for. Deny is the default.

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
from msgspec.structs import replace

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
    BRAND = "brand"
    """A project's logo and colours, for whoever may see its pages."""
    DOOR = "door"
    """Sign-in, sign-out and share links: for anyone, also by a link on another site."""


class Role(enum.Enum):
    """What a caller may do."""

    NOBODY = "nobody"
    STRANGER = "stranger"
    """An agent from off this machine: it is let in by an agent key alone."""
    AGENT = "agent"
    """An agent that presents its project's key."""
    SHARE = "share"
    """Somebody with a share link: reads one project's pages and nothing else."""
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
        trusted_proxies: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network] = (),
        signing_key: bytes = b"",
    ) -> None:
        self._signing_key = signing_key
        self._trusted_proxies = tuple(trusted_proxies)
        keys = [(key, Role.ADMIN) for key in api_keys] + [(key, Role.VIEWER) for key in viewer_keys]
        self._digests = [(_digest(key.reveal()), role) for key, role in keys]
        self._prints = {self._print(digest): role for digest, role in reversed(self._digests)}
        self.has_keys = any(role is Role.ADMIN for _, role in self._digests)
        """False where whoever is on this machine may do everything."""
        self.is_public_tls = bool(public_url and public_url.lower().startswith("https:"))
        self._public_origin = _origin(public_url) if public_url else None
        names = [host.lower() for host in allowed_hosts]
        if public_url:
            names.append((urlsplit(public_url).hostname or "").lower())
        self._allowed_names = frozenset(names)

    def seen(self, caller: Caller) -> Caller:
        """Return a caller as a proxy that is trusted says it is; any other says nothing that is believed."""
        if not self._trusted_proxies or not self._is_trusted(caller.peer):
            return caller
        hops = [hop.strip() for value in caller.values("x-forwarded-for") for hop in value.split(",")]
        peer = caller.peer
        for hop in reversed(hops):  # the nearest first: what is before one that is not trusted may be made up
            if not _is_address(hop):
                break
            peer = hop
            if not self._is_trusted(hop):
                break
        scheme = (caller.value("x-forwarded-proto") or "").strip().lower()
        return replace(caller, peer=peer, scheme=scheme if scheme in ("http", "https") else caller.scheme)

    def check(self, caller: Caller, area: Area, *, has_agent_key: bool = False, seat: Role | None = None) -> Role:
        """Return the caller's role for this area, or raise what refuses it; ``seat`` is what its cookies stand for."""
        host = self._host(caller)
        self._refuse_cross_site(caller, area)
        if area in (Area.OPEN, Area.DOOR):
            return Role.NOBODY
        is_near = _is_loopback(caller, host)
        if area is Area.DATA:
            return Role.NOBODY if is_near else Role.STRANGER
        if area is Area.SESSION and has_agent_key:
            return Role.AGENT
        has_bearer = caller.value("authorization") is not None
        takes_cookies = area in (Area.PAGE, Area.BRAND) and (not has_bearer if self.has_keys else is_near)
        role = seat if seat is not None and takes_cookies else self._role(caller, is_near=is_near)
        if role in (Role.VIEWER, Role.SHARE) and caller.method not in _SAFE_METHODS:
            raise Forbidden("this key may read and not change; use an admin key")
        if area is Area.PAGE and caller.method not in _SAFE_METHODS and not (has_bearer and self.has_keys):
            self._refuse_foreign_form(caller)
        return role

    def _role(self, caller: Caller, *, is_near: bool) -> Role:
        if not self.has_keys:
            if is_near:
                return Role.ADMIN
            raise Unauthorized("no key is configured, so this is open to this machine only; set VOICEGW_API_KEY")
        kind, _, key = (caller.value("authorization") or "").partition(" ")
        if kind.lower() != "bearer" or not key:
            raise Unauthorized("a key is needed: send Authorization: Bearer <key>")
        found = self.admitted(key.strip())
        if found is None:
            raise Unauthorized("this key is not known here")
        return found[0]

    def admitted(self, key: str) -> tuple[Role, str] | None:
        """Return what a key opens, and its print; None where it opens nothing."""
        digest, found = _digest(key), None
        for known, role in self._digests:  # all of them: how long it takes tells nothing
            if hmac.compare_digest(digest, known) and found is None:
                found = role
        return None if found is None else (found, self._print(digest))

    def role_of(self, key_print: str) -> Role | None:
        """Return what the key of this print opens, if it is still configured."""
        return self._prints.get(key_print)

    def _print(self, digest: bytes) -> str:
        """Return what tells a key from another and is no use to guess it by, but to who has the signing key."""
        return hmac.new(self._signing_key, digest, hashlib.sha256).hexdigest()

    def _is_trusted(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped  # how a socket of both kinds shows an IPv4 peer
        return any(address in network for network in self._trusted_proxies)

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

    def _refuse_foreign_form(self, caller: Caller) -> None:
        """A form changes something only if the browser says that a page of ours sent it."""
        if caller.value("origin") is None and caller.value("sec-fetch-site") != "same-origin":
            raise CrossSite("only this sidecar's own pages may send this form; scripts use the API")

    def _refuse_cross_site(self, caller: Caller, area: Area) -> None:
        """No web page but our own may use the sidecar; SDKs send neither Origin nor Sec-Fetch-Site."""
        origin = caller.value("origin")
        if origin is not None:
            own = {f"{caller.scheme}://{caller.value('host')}".lower(), self._public_origin}
            if origin.lower() not in own:
                raise CrossSite("a page of another site may not use this sidecar")
        site = (caller.value("sec-fetch-site") or "").lower()
        if site in ("cross-site", "same-site"):
            is_navigation = caller.value("sec-fetch-mode") == "navigate" and caller.method == "GET"
            if not (is_navigation and area in (Area.PAGE, Area.DOOR)):
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


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_forwarding(name: str) -> bool:
    return name.startswith(_FORWARDED_PREFIX) or name in _FORWARDED


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()

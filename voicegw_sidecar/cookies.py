"""The two cookies: of a browser that is signed in, and of one that came by a share link. Named per port.

A browser sends cookies to every port of a host: two sidecars on one machine must not take each other's.
"""

from __future__ import annotations

from typing import Literal

from aiohttp import web

from voicegw_sidecar.relay.server import arrival_of

SIGN_IN_COOKIE, SHARE_COOKIE = "voicegw", "voicegw_share"
SameSite = Literal["Strict", "Lax"]


def cookie_of(request: web.Request, kind: str) -> str | None:
    """Return a cookie's value."""
    return request.cookies.get(_name(request, kind)) or None


def set_cookie(
    request: web.Request, response: web.Response, kind: str, value: str, max_age_s: int, *, is_tls: bool
) -> None:
    """Set a cookie that scripts cannot read; one of a share link may come along with a link from elsewhere."""
    same_site: SameSite = "Strict" if kind == SIGN_IN_COOKIE else "Lax"
    response.set_cookie(
        _name(request, kind), value, max_age=max_age_s, path="/", httponly=True, samesite=same_site, secure=is_tls
    )


def drop_cookie(request: web.Request, response: web.Response, kind: str) -> None:
    """Remove a cookie."""
    same_site: SameSite = "Strict" if kind == SIGN_IN_COOKIE else "Lax"
    response.del_cookie(_name(request, kind), path="/", httponly=True, samesite=same_site)


def _name(request: web.Request, kind: str) -> str:
    return f"{kind}_{arrival_of(request).own_port}"

"""The doors: ``/login``, ``/logout`` and ``/share/{token}``. Open to anyone who may address the sidecar at all."""

from __future__ import annotations

import urllib.parse

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.access import Caller
from voicegw_sidecar.api.answers import RUNTIME, VISITOR
from voicegw_sidecar.api.upload import read_fields
from voicegw_sidecar.cookies import SHARE_COOKIE, SIGN_IN_COOKIE, cookie_of, drop_cookie, set_cookie
from voicegw_sidecar.errors import NotFound, TooManyGuesses
from voicegw_sidecar.relay.server import arrival_of
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.sign_ins import LASTS_S
from voicegw_sidecar.terms import NS_PER_S
from voicegw_sidecar.web.chrome import address
from voicegw_sidecar.web.render import draw, see_other

_LONGEST_KEY = 4096


class LoginPage(Struct, frozen=True):
    """What the page shows: ``next`` is where to go afterwards, ``error`` why it did not work."""

    next: str
    error: str | None
    needs_key: bool


async def login(request: web.Request) -> web.Response:
    """``GET /login?next=``"""
    runtime = request.app[RUNTIME]
    target = same_site(request.query.get("next"))
    if request[VISITOR].is_signed_in and request[VISITOR].project is None:
        return see_other(target)
    return await _login_page(request, runtime, target, None, 200)


async def sign_in(request: web.Request) -> web.Response:
    """``POST /login`` with the form field ``api_key``"""
    runtime, form = request.app[RUNTIME], await read_fields(request)
    target = same_site(form.get("next"))
    if not runtime.access.has_keys:
        return see_other(target)
    peer = _caller(request, runtime).peer
    wait_s = runtime.guesses.wait_s(peer)
    if wait_s > 0:  # not even looked at: a guesser would go on and see which one is let in
        raise TooManyGuesses("too many wrong keys came from this address; wait before the next one", wait_s)
    key = form.get("api_key", "")[:_LONGEST_KEY].strip()
    admitted = runtime.access.admitted(key) if key else None
    if admitted is None:
        runtime.guesses.wrong(peer)
        return await _login_page(request, runtime, target, "That key is not known here.", 401)
    response = see_other(target)
    word = runtime.sign_ins.begin(admitted[1])
    set_cookie(request, response, SIGN_IN_COOKIE, word, LASTS_S, is_tls=_is_tls(request, runtime))
    drop_cookie(request, response, SHARE_COOKIE)
    return response


async def sign_out(request: web.Request) -> web.Response:
    """``POST /logout``"""
    word = cookie_of(request, SIGN_IN_COOKIE)
    if word is not None:
        request.app[RUNTIME].sign_ins.end(word)
    response = see_other("/login" if request.app[RUNTIME].access.has_keys else "/")
    drop_cookie(request, response, SIGN_IN_COOKIE)
    drop_cookie(request, response, SHARE_COOKIE)
    return response


async def share(request: web.Request) -> web.Response:
    """``GET /share/{token}``: let its holder see one project, and go there."""
    runtime = request.app[RUNTIME]
    row = runtime.shares.find(request.match_info["token"])
    if row is None or row.project not in runtime.catalog.projects:
        raise NotFound("this link is not valid, or no longer; ask whoever sent it for a new one")
    response = see_other(address("/sessions", {"project": row.project}))
    left_s = max(1, (row.expires_ns - runtime.clock.wall_ns()) // NS_PER_S)
    token = request.match_info["token"]
    set_cookie(request, response, SHARE_COOKIE, token, left_s, is_tls=_is_tls(request, runtime))
    return response


def same_site(target: str | None) -> str:
    """Return a path of this site, whatever was asked for: ``//evil`` and ``/\\evil`` lead elsewhere."""
    if not target or not target.isprintable() or "\\" in target:
        return "/"
    parts = urllib.parse.urlsplit(target)
    is_path = not parts.scheme and not parts.netloc and target.startswith("/") and not target.startswith("//")
    return target if is_path and not target.startswith(("/login", "/logout", "/share/")) else "/"


async def _login_page(
    request: web.Request, runtime: Runtime, target: str, error: str | None, status: int
) -> web.Response:
    return await draw(
        request, runtime, "pages/login.html", None, LoginPage(target, error, runtime.access.has_keys), status
    )


def _caller(request: web.Request, runtime: Runtime) -> Caller:
    arrival = arrival_of(request)
    return runtime.access.seen(Caller(arrival.method, arrival.scheme, arrival.headers, arrival.peer))


def _is_tls(request: web.Request, runtime: Runtime) -> bool:
    """Say whether the browser came by TLS, as far as a proxy that is trusted or the public address tells."""
    return _caller(request, runtime).scheme == "https" or runtime.access.is_public_tls

"""Looks at every request before its handler does: Host, Origin, keys and cookies; and words every deliberate error.

Deny is the default: a route that no area is named for is the API's.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping

import apsw
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from voicegw_sidecar.access import Area, Caller, Role
from voicegw_sidecar.api.answers import AGENT_PROJECT, SCHEME, VISITOR, Visitor, error_answer
from voicegw_sidecar.cookies import SHARE_COOKIE, SIGN_IN_COOKIE, cookie_of
from voicegw_sidecar.errors import NotFound, SidecarError, StoreFailed, TooManyGuesses, Unauthorized
from voicegw_sidecar.relay import Arrival
from voicegw_sidecar.relay.exchange import refusal_response
from voicegw_sidecar.relay.plan import Refusal
from voicegw_sidecar.relay.server import arrival_of
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.web.error import error_page

logger = logging.getLogger(__name__)

Refuse = Callable[[Arrival, SidecarError], Refusal]
"""Words an error of the data plane in the provider's own shape."""


def guard(runtime: Runtime, areas: Mapping[web.AbstractRoute, Area], refuse: Callable[[], Refuse]) -> Middleware:
    """Return the middleware; ``refuse`` gives the wording that is in force."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        area = areas.get(request.match_info.route, Area.API)
        try:
            _admit(runtime, request, area)
            return await handler(request)
        except SidecarError as error:
            refused = error
        except apsw.Error as error:
            logger.error("database cannot be read", extra={"error": type(error).__name__})
            refused = StoreFailed("the database cannot be read at the moment; see the sidecar's log and /ready")
        except web.HTTPException as error:
            if error.status != 404:
                raise
            refused = NotFound("nothing is at this address")
        except (OSError, asyncio.CancelledError):
            raise  # the caller is gone
        except Exception as error:  # the last resort of every request: one line, in the caller's own form
            logger.error(
                "request failed", extra={"error": type(error).__name__, "at": _place_of(error), "area": area.value}
            )
            refused = SidecarError("the sidecar failed at this request; its log names the place")
        match area:
            case Area.DATA:
                return refusal_response(refuse()(arrival_of(request), refused))
            case Area.PAGE | Area.DOOR:
                return await error_page(request, refused)
            case _:
                return error_answer(refused)

    return guarded


def _admit(runtime: Runtime, request: web.Request, area: Area) -> None:
    """Refuse a request, or note who asks."""
    arrival = arrival_of(request)
    caller = runtime.access.seen(Caller(arrival.method, arrival.scheme, arrival.headers, arrival.peer))
    if area is not Area.DATA:
        request[SCHEME] = caller.scheme
    owner = _owner(runtime, arrival) if area is Area.SESSION else None
    seat = _seat(runtime, request) if area in (Area.PAGE, Area.BRAND, Area.DOOR) else None
    try:
        role = runtime.access.check(
            caller, area, has_agent_key=owner is not None, seat=None if seat is None else seat.role
        )
    except Unauthorized:
        _count_guess(runtime, caller)
        raise
    if role is Role.STRANGER and _owner(runtime, arrival) is None:
        raise Unauthorized("calls from off this machine need an agent key of one of the projects")
    if role is Role.AGENT and owner is not None:
        request[AGENT_PROJECT] = owner
    if seat is not None and role is seat.role:
        request[VISITOR] = seat
    elif area is not Area.DATA:
        request[VISITOR] = Visitor(role, _actor(runtime, caller, role))


def _seat(runtime: Runtime, request: web.Request) -> Visitor | None:
    """Return what a request's cookies stand for; being signed in goes before a share link."""
    if (word := cookie_of(request, SIGN_IN_COOKIE)) is not None:
        key_print = runtime.sign_ins.key_print(word)
        role = None if key_print is None else runtime.access.role_of(key_print)
        if key_print is not None and role is not None:
            return Visitor(role, f"{role.value} key {key_print[:8]}, signed in", is_signed_in=True)
    if (token := cookie_of(request, SHARE_COOKIE)) is not None:
        share = runtime.shares.find(token)
        if share is not None and share.project in runtime.catalog.projects:
            return Visitor(Role.SHARE, f"share link {share.id}", share.project, is_signed_in=True)
    return None


def _actor(runtime: Runtime, caller: Caller, role: Role) -> str:
    """Return what the log of changes calls somebody without a cookie."""
    if role not in (Role.ADMIN, Role.VIEWER):
        return str(role.value)
    admitted = runtime.access.admitted((caller.value("authorization") or "").partition(" ")[2].strip())
    return "this machine" if admitted is None else f"{role.value} key {admitted[1][:8]}"


def _count_guess(runtime: Runtime, caller: Caller) -> None:
    """Slow down who tries keys; a right key is taken all the same, or a stray program would lock its machine out."""
    if caller.value("authorization") is None or not runtime.access.has_keys:
        return
    wait_s = runtime.api_guesses.wait_s(caller.peer)
    if wait_s > 0:
        raise TooManyGuesses("too many wrong keys came from this address; wait before the next one", wait_s)
    runtime.api_guesses.wrong(caller.peer)


def _owner(runtime: Runtime, arrival: Arrival) -> str | None:
    """Return the project whose agent key a request presents, if it presents one."""
    return runtime.agent_keys.owner(arrival.headers, arrival.target.partition("?")[2])


def _place_of(error: Exception) -> str:
    """Return the function and line that raised."""
    place = "unknown"
    for frame, line in traceback.walk_tb(error.__traceback__):
        place = f"{frame.f_code.co_name}:{line}"
    return place

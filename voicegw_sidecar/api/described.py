"""What a route takes, answers and refuses, declared once, at its handler: requests are read by it, `openapi` tells it.

A handler is given its query already checked, and its body already read; what it returns is of the type that it is
described with, which the type checker sees to.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, overload

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import answer
from voicegw_sidecar.api.body import Body
from voicegw_sidecar.api.parameters import NO_PARAMETERS, Parameters, Query
from voicegw_sidecar.errors import SidecarError

A = TypeVar("A")
B = TypeVar("B")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Plain = Callable[[web.Request, Parameters], Awaitable[A | web.Response]]
WithBody = Callable[[web.Request, Parameters, B], Awaitable[A | web.Response]]


class Description(Struct, frozen=True):
    """One route, but for its address and who may call it."""

    about: str
    answers: Any
    """The type of the usual answer."""
    status: int
    media_type: str
    also: Mapping[int, Any]
    """Further answers that are no refusals: their types, by status."""
    query: tuple[Query[Any, Any], ...] | None
    """None: whatever the query says is ignored."""
    body: Body[Any] | None
    refuses: tuple[type[SidecarError], ...]
    """Besides what the guard and the reading of query and body refuse."""
    id_of: str | None
    """What ``{id}`` in the address names."""


LookUp = Callable[[web.Request], object]
"""Raises where what the address names is not there."""


_BY_HANDLER: dict[Handler, Description] = {}


@overload
def described(
    about: str, *, answers: type[A], body: Body[B], status: int = 200, query: tuple[Query[Any, Any], ...] = (),
    refuses: tuple[type[SidecarError], ...] = (), id_of: str | None = None, look_up: LookUp | None = None,
) -> Callable[[WithBody[B, A]], Handler]: ...  # fmt: skip


@overload
def described(
    about: str, *, answers: type[A], status: int = 200, query: tuple[Query[Any, Any], ...] | None = (),
    refuses: tuple[type[SidecarError], ...] = (), id_of: str | None = None, also: Mapping[int, Any] = ...,
    media_type: str = ...,
) -> Callable[[Plain[A]], Handler]: ...  # fmt: skip


def described(
    about: str, *, answers: Any, body: Body[Any] | None = None, status: int = 200,
    query: tuple[Query[Any, Any], ...] | None = (), refuses: tuple[type[SidecarError], ...] = (),
    id_of: str | None = None, also: Mapping[int, Any] | None = None, media_type: str = "application/json",
    look_up: LookUp | None = None,
) -> Callable[[Callable[..., Awaitable[Any]]], Handler]:  # fmt: skip
    """Describe a handler, and let it be called by what is described.

    With ``look_up`` a large body is not read for what is not there.
    """
    description = Description(about, answers, status, media_type, also or {}, query, body, refuses, id_of)

    def decorate(handler: Callable[..., Awaitable[Any]]) -> Handler:
        @functools.wraps(handler)
        async def handled(request: web.Request) -> web.StreamResponse:
            asked = NO_PARAMETERS if query is None else Parameters(request, *(one.name for one in query))
            given: list[Any] = [asked]
            if look_up is not None:
                look_up(request)
            if body is not None:
                given.append(await body.read(request))
            found = await handler(request, *given)
            return found if isinstance(found, web.StreamResponse) else answer(found, status)

        _BY_HANDLER[handled] = description
        return handled

    return decorate


def description_of(handler: Handler) -> Description:
    """Return how a handler is described; raises `LookupError`."""
    return _BY_HANDLER[handler]

"""How the API answers: Structs as JSON, errors in one shape, times and money in their outside form."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from voicegw_sidecar.access import Role
from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.relay import Relay
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.terms import NANO_PER_USD, NS_PER_S

RUNTIME = web.AppKey("runtime", Runtime)
RELAY = web.AppKey("relay", Relay)
AGENT_PROJECT = web.RequestKey("agent_project", str)
"""The project whose agent key a request of the control plane presents; it sees nothing of any other."""


class Visitor(Struct, frozen=True):
    """Who asks something of the control plane, as `guard` found out."""

    role: Role
    actor: str
    """What the log of changes calls them; never a key."""
    project: str | None = None
    """The one project there is for somebody with a share link; None for all others."""
    is_signed_in: bool = False
    """True where a cookie says so: then there is something to sign out of."""


SCHEME = web.RequestKey("scheme", str)


def scheme_of(request: web.Request) -> str:
    """Return the scheme by which the caller came, as far as a proxy that is trusted tells; set by `guard`."""
    return str(request.get(SCHEME, request.scheme))


VISITOR = web.RequestKey("visitor", Visitor)


class ErrorDetail(Struct, frozen=True):
    """An error of the sidecar's own, in OpenAI's shape, which most clients can read."""

    message: str
    type: str
    code: str
    param: str | None = None


class ErrorAnswer(Struct, frozen=True):
    """The body of every refusal of the control plane."""

    error: ErrorDetail


IsoUtc = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""A moment as `iso_utc` words it."""


def answer(body: object, status: int = 200) -> web.Response:
    """Encode a body as JSON; never cached, since figures change."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )


def encoded_answer(body: bytes) -> web.Response:
    """Answer with JSON that was encoded where it was read: a long list takes the loop no time."""
    return web.Response(
        body=body,
        content_type="application/json",
        headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )


def error_answer(error: SidecarError) -> web.Response:
    """Word an error."""
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    response = answer(ErrorAnswer(ErrorDetail(error.message, kind, error.code)), error.status)
    response.headers["X-VoiceGW-Error"] = error.code
    response.headers.extend(error.headers)
    if not error.retry_helps:
        response.headers["x-should-retry"] = "false"
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def iso_utc(wall_ns: int) -> IsoUtc:
    """Return a moment as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(wall_ns // NS_PER_S, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{wall_ns % NS_PER_S // 1_000_000:03d}Z"


def usd(nanousd: int | None) -> float | None:
    """Return nano-dollars as dollars: the one place where money becomes a float."""
    return None if nanousd is None else nanousd / NANO_PER_USD

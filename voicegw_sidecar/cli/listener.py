"""What listens at the address a configuration names: a sidecar, which may be asked, or something else."""

from __future__ import annotations

import http.client
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from voicegw_sidecar.control_client import NoAnswer
from voicegw_sidecar.terms import Secret

_ANSWER_BYTES = 64 * 1024 * 1024
_HEALTH_S = 2.0
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked for, not bound to

T = TypeVar("T")


class Refused(NoAnswer):
    """It answers with another status than was hoped for."""

    def __init__(self, address: str, path: str, status: int) -> None:
        hint = "; set VOICEGW_API_KEY" if status == 401 else ""
        super().__init__(f"the sidecar at {address} answers {path.partition('?')[0]} with status {status}{hint}")
        self.http_status = status


class Health(Struct, frozen=True):
    """What a sidecar answers on ``/health``; nothing else has these three."""

    status: str
    version: str
    uptime_s: float


class Readiness(Struct, frozen=True):
    """What it answers on ``/ready``."""

    status: str
    reasons: list[str]


def address_of(host: str, port: int) -> str:
    """Return the base URL by which this machine reaches a sidecar that listens there."""
    name = _EVERYWHERE.get(host, host)
    return f"http://{f'[{name}]' if ':' in name else name}:{port}"


def health(address: str) -> Health | None:
    """Return how the sidecar at an address is; None where none is, or something else listens."""
    try:
        return get(address, "/health", Health, limit_s=_HEALTH_S)
    except NoAnswer:
        return None


def readiness(address: str) -> Readiness | None:
    """Return whether it takes work, and what troubles it; None where that cannot be told."""
    try:
        return get(address, "/ready", Readiness, limit_s=_HEALTH_S, statuses=(200, 503))
    except NoAnswer:
        return None


def get(
    address: str, path: str, kind: type[T], *, key: Secret | None = None, limit_s: float = 10.0,
    statuses: tuple[int, ...] = (200,),
) -> T:  # fmt: skip
    """Return a decoded answer of the sidecar; raises `NoAnswer` where there is none, or another than expected."""
    headers = {} if key is None else {"Authorization": f"Bearer {key.reveal()}"}
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=limit_s)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = response.read(_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(f"no sidecar answers at {address}: {type(error).__name__}") from None
    finally:
        connection.close()
    if response.status not in statuses:
        raise Refused(address, path, response.status)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError):
        raise NoAnswer(f"what answers at {address} is no sidecar of this version") from None

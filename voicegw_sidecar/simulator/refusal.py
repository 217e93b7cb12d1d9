"""Each provider's own way of saying no: error bodies and headers.

Shapes from the providers' API references; the wording is our own.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.simulator.answer import answer
from voicegw_sidecar.simulator.script import Failure, FailureKind
from voicegw_sidecar.simulator.visit import Visit

_CARTESIA_STRUCTURED_SINCE = "2026-03-01"


class _Words(Struct, frozen=True):
    """One status: what is said, OpenAI's type and code, Deepgram's code, Cartesia's code and title."""

    message: str
    openai_type: str
    openai_code: str | None
    deepgram_code: str
    cartesia_code: str
    title: str


_BY_STATUS = {
    400: _Words(
        "The request is not valid.", "invalid_request_error", None, "Bad Request", "invalid_request", "Bad request"
    ),
    401: _Words(
        "The API key is not valid.",
        "invalid_request_error",
        "invalid_api_key",
        "INVALID_AUTH",
        "unauthorized",
        "Unauthorized",
    ),
    402: _Words(
        "The account has no credit left.",
        "insufficient_quota",
        "insufficient_quota",
        "ASR_PAYMENT_REQUIRED",
        "quota_exceeded",
        "Payment required",
    ),
    404: _Words("Nothing is at this address.", "invalid_request_error", None, "NOT_FOUND", "not_found", "Not found"),
    429: _Words(
        "Too many requests.",
        "requests",
        "rate_limit_exceeded",
        "TOO_MANY_REQUESTS",
        "concurrency_limited",
        "Too many requests",
    ),
}
_SERVER_ERROR = _Words(
    "The server had an error.", "server_error", None, "INTERNAL_SERVER_ERROR", "internal_server_error", "Internal error"
)

_ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}

_ELEVENLABS_CODES = {
    400: ("validation_error", "invalid_request"),
    401: ("authentication_error", "invalid_api_key"),
    402: ("payment_required", "quota_exceeded"),
    404: ("not_found", "not_found"),
    422: ("validation_error", "invalid_request"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}


async def refuse(visit: Visit, failure: Failure) -> web.StreamResponse:
    """Answer with the failure's status, headers and body."""
    if failure.body is not None:
        body, content_type = failure.body.encode(), "application/json" if failure.body[:1] in "{[" else "text/plain"
    else:
        body, content_type = error_body(visit, failure.status)
    headers = provider_headers(visit)
    if failure.retry_after_s is not None:
        headers["Retry-After"] = str(failure.retry_after_s)
    if visit.entry.provider == "deepgram":
        headers["dg-error"] = _words(failure.status).message
    visit.failure = None
    return await answer(visit, body, content_type=content_type, status=failure.status, headers=headers)


async def refuse_request(visit: Visit, status: int, message: str | None = None) -> web.StreamResponse:
    """Refuse a request that the provider itself would refuse."""
    body, _ = error_body(visit, status, message)
    return await refuse(visit, Failure(FailureKind.STATUS, status=status, body=body.decode()))


def provider_headers(visit: Visit) -> dict[str, str]:
    """Return the identifying headers that the provider puts on every answer."""
    match visit.entry.provider:
        case "openai" | "groq":
            return {
                "x-request-id": f"req_{visit.request_id.replace('-', '')}",
                "openai-processing-ms": "42",
                "openai-version": "2020-10-01",
            }
        case "deepgram":
            return {"dg-request-id": visit.request_id}
        case "anthropic":
            return {"request-id": f"req_{visit.request_id.replace('-', '')}"}
        case "elevenlabs":
            return {"request-id": visit.request_id, "x-trace-id": visit.request_id.replace("-", "")}
        case _:
            return {"X-Request-Id": visit.request_id}


def error_body(visit: Visit, status: int, message: str | None = None) -> tuple[bytes, str]:
    """Return the provider's error body for a status, and its content type."""
    make = _BODIES.get(visit.entry.provider, _openai)
    body = make(visit, status, message or _words(status).message)
    if isinstance(body, str):
        return body.encode(), "text/plain"
    return msgspec.json.encode(body), "application/json"


def _openai(visit: Visit, status: int, message: str) -> object:
    return openai_error(status, message)


def openai_error(status: int, message: str) -> dict[str, object]:
    """Return OpenAI's error object; its sockets send it in an event of type ``error``."""
    words = _words(status)
    error = {"message": message, "type": words.openai_type, "param": None, "code": words.openai_code}
    return {"error": error}


def _cartesia(visit: Visit, status: int, message: str) -> object:
    if _structured(visit):
        return cartesia_error(visit, status, message)
    return f"{_words(status).title}: {message}"


def cartesia_error(visit: Visit, status: int, message: str | None = None) -> dict[str, object]:
    """Return Cartesia's error object; in a frame it goes with ``type`` and ``status_code``."""
    words = _words(status)
    message = message or words.message
    return {
        "error_code": words.cartesia_code,
        "title": words.title,
        "message": message,
        "request_id": visit.request_id,
    }


def cartesia_error_frame(visit: Visit, status: int, message: str, context_id: str | None) -> dict[str, object]:
    """Return Cartesia's error frame in the form of the version that the client asked for."""
    frame: dict[str, object] = {"type": "error", "done": True, "status_code": status}
    if context_id is not None:
        frame["context_id"] = context_id
    if _structured(visit):
        return frame | cartesia_error(visit, status, message)
    return frame | {"error": f"{_words(status).title}: {message}"}


def elevenlabs_error(visit: Visit, status: int, message: str) -> dict[str, object]:
    """Return what is under ``detail`` in ElevenLabs' errors."""
    kind, code = _ELEVENLABS_CODES.get(status, ("internal_error", "internal_server_error"))
    return {
        "type": kind,
        "code": code,
        "message": message,
        "status": code,
        "request_id": visit.request_id,
        "param": None,
    }


def _words(status: int) -> _Words:
    return _BY_STATUS.get(status, _SERVER_ERROR)


def _structured(visit: Visit) -> bool:
    request = visit.request
    version = request.headers.get("Cartesia-Version") or request.query.get("cartesia_version", "")
    return version >= _CARTESIA_STRUCTURED_SINCE


def _deepgram(visit: Visit, status: int, message: str) -> object:
    code = _words(status).deepgram_code
    if status >= 500:
        return {"category": code, "message": message, "details": message, "request_id": visit.request_id}
    return {"err_code": code, "err_msg": message, "request_id": visit.request_id}


def _anthropic(visit: Visit, status: int, message: str) -> object:
    kind = _ANTHROPIC_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    request_id = f"req_{visit.request_id.replace('-', '')}"
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": request_id}


def _ollama(visit: Visit, status: int, message: str) -> object:
    return {"error": message} if visit.request.path.startswith("/ollama/api/") else openai_error(status, message)


_BODIES: dict[str, Callable[[Visit, int, str], object]] = {
    "openai": _openai,
    "deepgram": _deepgram,
    "cartesia": _cartesia,
    "ollama": _ollama,
    "anthropic": _anthropic,
    "elevenlabs": lambda visit, status, message: {"detail": elevenlabs_error(visit, status, message)},
    "assemblyai": lambda visit, status, message: {"error": message},
}
"""What a provider's error body is, by provider: text, or what becomes JSON."""

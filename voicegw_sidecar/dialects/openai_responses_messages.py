"""The messages of OpenAI responses: what is read of them, and tolerantly.

What a message has in a shape that is not known is left out, and the rest still counts.
Wire reference: https://developers.openai.com/api/reference/resources/responses (read 2026-11-21).
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from voicegw_sidecar.dialects.base import decode_json, prompted
from voicegw_sidecar.estimate import CHARS_PER_TOKEN
from voicegw_sidecar.events import Prompted
from voicegw_sidecar.terms import Usage
from voicegw_sidecar.wire.body import short_code


class _Details(Struct, frozen=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(Struct, frozen=True):
    input_tokens: int | None = None
    input_tokens_details: _Details | None = None
    output_tokens: int | None = None
    output_tokens_details: _Details | None = None

    def usage(self) -> Usage:
        """Return the figures in our words."""
        sent, answered = self.input_tokens_details or _Details(), self.output_tokens_details or _Details()
        return Usage(
            input_tokens=self.input_tokens,
            cached_input_tokens=sent.cached_tokens,
            cache_write_tokens=sent.cache_write_tokens or None,
            output_tokens=self.output_tokens,
            reasoning_tokens=answered.reasoning_tokens,
        )


class Part(Struct, frozen=True):
    text: str | None = None
    refusal: str | None = None


class Item(Struct, frozen=True):
    """An item of the input or the output: a message, a tool call or its result, or reasoning."""

    type: str = ""
    role: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    content: str | list[Part] | None = None
    output: str | list[Part] | None = None
    summary: list[Part] | None = None

    @property
    def text(self) -> str:
        """What is said: its content, or the name and arguments of a call."""
        calls = (self.name, self.arguments, self.input)
        return f"{text_of(self.content)}{text_of(self.output)}{''.join(text or '' for text in calls)}"


class ErrorBody(Struct, frozen=True):
    code: str | int | None = None
    type: str | None = None


class Response(Struct, frozen=True):
    id: str | None = None
    status: str | None = None
    model: str | None = None
    usage: _Usage | None = None
    service_tier: str | None = None
    error: ErrorBody | None = None
    output: list[Item] | None = None


class AnswerEvent(Struct, frozen=True):
    """One event of an answer; ``error`` and ``code`` are where the two transports put an error's code."""

    type: str = ""
    stream_id: str | None = None
    delta: str = ""
    item: Item | None = None
    response: Response | None = None
    error: ErrorBody | None = None
    code: str | None = None


class _BareResponse(Struct, frozen=True):
    id: str | None = None
    model: str | None = None
    usage: _Usage | None = None


class _BareEvent(Struct, frozen=True):
    """What still counts of an event whose output has a shape that is not known."""

    type: str = ""
    stream_id: str | None = None
    response: _BareResponse | None = None


class Request(Struct, frozen=True):
    """A request's body, and ``response.create`` on the socket."""

    type: str = ""
    model: str | None = None
    input: str | list[Item] | None = None
    instructions: str | None = None
    tools: Raw = Raw(b"")
    previous_response_id: str | None = None
    stream_id: str | None = None


class _BareRequest(Struct, frozen=True):
    type: str = ""
    model: str | None = None
    stream_id: str | None = None


_event = msgspec.json.Decoder(AnswerEvent)
_bare_event = msgspec.json.Decoder(_BareEvent)
_response = msgspec.json.Decoder(Response)
_bare_response = msgspec.json.Decoder(_BareResponse)
_request = msgspec.json.Decoder(Request)
_bare_request = msgspec.json.Decoder(_BareRequest)


def read_request(body: bytes | None) -> Request | None:
    """Read a request, or return None where it is none."""
    request = decode_json(_request, body)
    if request is None and (bare := decode_json(_bare_request, body)) is not None:
        return Request(bare.type, bare.model, stream_id=bare.stream_id)
    return request


def read_event(data: bytes | None) -> AnswerEvent | None:
    """Read one event of an answer, or return None where it is none."""
    event = decode_json(_event, data)
    if event is None and (bare := decode_json(_bare_event, data)) is not None:
        found = bare.response
        response = None if found is None else Response(found.id, None, found.model, found.usage)
        return AnswerEvent(bare.type, bare.stream_id, response=response)
    return event


def input_chars(request: Request, last: tuple[str, int] | None = None) -> int | None:
    """Characters of the prompt and the tools offered; of an earlier response that is known, those of its tokens."""
    if request.input is None and request.instructions is None:
        return None
    own = request.input if isinstance(request.input, str) else "".join(item.text for item in request.input or ())
    earlier_tokens = last[1] if last is not None and last[0] == request.previous_response_id else 0
    return len(own) + len(request.instructions or "") + len(bytes(request.tools)) + earlier_tokens * CHARS_PER_TOKEN


def said(request: Request, key: str = "") -> Prompted:
    """What was said before, as far as the request repeats it: one that goes on from an earlier response does not."""
    if isinstance(request.input, str):
        return prompted([("user", request.input)], key)
    return prompted([(item.role, text_of(item.content)) for item in request.input or ()], key)


def text_of(content: str | list[Part] | None) -> str:
    """All text of a content."""
    if isinstance(content, list):
        return "".join(f"{part.text or ''}{part.refusal or ''}" for part in content)
    return content or ""


def error_code(error: ErrorBody | None, code: str | None) -> str:
    """The short code of an error, wherever the transport puts it."""
    error = error or ErrorBody()
    return short_code(error.code) or short_code(code) or short_code(error.type) or "provider_error"


def exact_response(body: bytes | None) -> Response | None:
    """Read a whole answer, or return None where its shape is not known."""
    return decode_json(_response, body)


def read_response(body: bytes | None) -> Response:
    """Read a whole answer."""
    response = decode_json(_response, body)
    if response is not None:
        return response
    bare = decode_json(_bare_response, body) or _BareResponse()
    return Response(bare.id, None, bare.model, bare.usage)

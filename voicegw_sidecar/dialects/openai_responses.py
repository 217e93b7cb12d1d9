"""OpenAI responses: ``/responses`` as JSON, as server-sent events, and as the same events on a WebSocket.

Knows the messages and nothing about money or sockets. On the socket every ``response.create`` begins an exchange,
keyed by its number; the provider answers them in order, lane by lane (``stream_id``). A response that the provider
begins by itself, after a ``response.steer``, has no request and so no time to its first token.
Wire reference: https://developers.openai.com/api/reference/resources/responses (read 2026-11-21), shapes as the openai
SDK 3.52 decodes them. Captures: tests/captures/openai_responses_*.jsonl
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Raw, Struct

from voicegw_sidecar.dialects.base import (
    NO_EVENTS,
    Ask,
    HttpDialect,
    SocketDialect,
    decode_json,
    has_other_rates,
    is_event_stream,
)
from voicegw_sidecar.estimate import CHARS_PER_TOKEN
from voicegw_sidecar.events import (
    Began,
    Deferred,
    Event,
    Failed,
    Finished,
    Named,
    OtherRates,
    Reasoned,
    RequestComplete,
    TextOut,
    Used,
)
from voicegw_sidecar.terms import NOTHING_USED, Modality, Usage
from voicegw_sidecar.wire.body import BodyCopy, short_code
from voicegw_sidecar.wire.frames import Frame, Kind, RequestHead, ResponseHead, Side
from voicegw_sidecar.wire.sse import SseSplitter

WAITING_LIMIT = 256
"""Responses followed at once on one socket, all lanes together."""
_TEXT_DELTAS = frozenset({
    "response.output_text.delta", "response.refusal.delta", "response.function_call_arguments.delta",
    "response.custom_tool_call_input.delta", "response.mcp_call_arguments.delta",
})  # fmt: skip
_THOUGHT_DELTAS = frozenset({"response.reasoning_text.delta", "response.reasoning_summary_text.delta"})
_LATER = ("queued", "in_progress")
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_CREATE, _CREATED = b'"response.create"', b'"response.created"'


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


class _Part(Struct, frozen=True):
    text: str | None = None
    refusal: str | None = None


class _Item(Struct, frozen=True):
    """An item of the input or the output: a message, a tool call or its result, or reasoning."""

    type: str = ""
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    content: str | list[_Part] | None = None
    output: str | list[_Part] | None = None
    summary: list[_Part] | None = None

    @property
    def text(self) -> str:
        """What is said: its content, or the name and arguments of a call."""
        calls = (self.name, self.arguments, self.input)
        return f"{_text(self.content)}{_text(self.output)}{''.join(text or '' for text in calls)}"


class _ErrorBody(Struct, frozen=True):
    code: str | int | None = None
    type: str | None = None


class _Response(Struct, frozen=True):
    id: str | None = None
    status: str | None = None
    model: str | None = None
    usage: _Usage | None = None
    service_tier: str | None = None
    error: _ErrorBody | None = None
    output: list[_Item] | None = None


class _Event(Struct, frozen=True):
    """One event of an answer; ``error`` and ``code`` are where the two transports put an error's code."""

    type: str = ""
    stream_id: str | None = None
    delta: str = ""
    item: _Item | None = None
    response: _Response | None = None
    error: _ErrorBody | None = None
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


class _Request(Struct, frozen=True):
    """A request's body, and ``response.create`` on the socket."""

    type: str = ""
    model: str | None = None
    input: str | list[_Item] | None = None
    instructions: str | None = None
    tools: Raw = Raw(b"")
    previous_response_id: str | None = None
    stream_id: str | None = None


class _BareRequest(Struct, frozen=True):
    type: str = ""
    model: str | None = None
    stream_id: str | None = None


_event = msgspec.json.Decoder(_Event)
_bare_event = msgspec.json.Decoder(_BareEvent)
_response = msgspec.json.Decoder(_Response)
_bare_response = msgspec.json.Decoder(_BareResponse)
_request = msgspec.json.Decoder(_Request)
_bare_request = msgspec.json.Decoder(_BareRequest)


class _Answer:
    """Reads the answer of one response, whichever way it comes."""

    def __init__(self, key: str, model: str | None) -> None:
        self._key = key
        self._model = model
        self._has_call_text = False
        self.is_created = False

    def event(self, event: _Event) -> Iterable[Event]:
        """Read one event of a stream."""
        if event.type in _TEXT_DELTAS:
            self._has_call_text = True
            return (TextOut(event.delta, self._key),) if event.delta else NO_EVENTS
        if event.type in _THOUGHT_DELTAS:
            return (Reasoned(event.delta, self._key),) if event.delta else NO_EVENTS
        match event.type:
            case "response.created" if event.response is not None:
                self.is_created = True
                return self._named(event.response.model)
            case "response.output_item.added" if event.item is not None and event.item.name:
                self._has_call_text = False
                return (TextOut(event.item.text, self._key),)
            case "response.output_item.done" if event.item is not None and event.item.name:
                # of a call whose arguments did not come in fragments, this is the first that is told
                return NO_EVENTS if self._has_call_text else (TextOut(event.item.arguments or "", self._key),)
            case "error":
                return (Failed(_code(event.error, event.code), self._key),)
            case kind if kind in _ENDS and event.response is not None:
                end = Failed(_code(event.response.error, None), self._key) if kind == "response.failed" else None
                return [*self.report(event.response), end or Finished(self._key)]
            case _:
                return NO_EVENTS

    def whole(self, response: _Response) -> Iterator[Event]:
        """Read an answer that came in one piece."""
        for item in response.output or ():
            thought = _text(item.summary) + (_text(item.content) if item.type == "reasoning" else "")
            if thought:
                yield Reasoned(thought, self._key)
            if item.type != "reasoning" and item.text:
                yield TextOut(item.text, self._key)
        yield from self._named(response.model)
        yield from self.report(response)
        if response.error is not None:
            yield Failed(_code(response.error, None), self._key)

    def report(self, response: _Response) -> Iterator[Event]:
        """Read the usage that goes with an end."""
        if has_other_rates(response.service_tier):
            yield OtherRates(self._key)
        if response.usage is not None and (usage := response.usage.usage()) != NOTHING_USED:
            yield Used(usage, self._key)

    def _named(self, model: str | None) -> Iterable[Event]:
        if self._model is not None or not model:
            return NO_EVENTS
        self._model = model
        return (Named(model, self._key),)


class OpenAIResponses(HttpDialect):
    """One ``POST /responses`` and its answer."""

    def __init__(self, head: RequestHead) -> None:
        super().__init__(head)
        self._body = BodyCopy()
        self._events: SseSplitter | None = None
        self._answer = _Answer("", None)

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """Choose how the body is read: by its type, not by what was asked for."""
        if is_event_stream(head):
            self._events = SseSplitter()
        self._body = BodyCopy(head.content_encoding)
        return super().answered(head)

    def _begun(self) -> Iterator[Event]:
        request = _asked(self._request.content()) or _Request()
        self._answer = _Answer("", request.model)
        yield Began(Modality.LLM, model=request.model, input_chars=_input_chars(request))
        yield RequestComplete()

    def _answer_piece(self, data: bytes) -> Iterable[Event]:
        if self._events is None:
            self._body.add(data)
            return NO_EVENTS
        return [event for sse in self._events.feed(data) for event in self._sse(sse.data)]

    def _answer_complete(self) -> Iterable[Event]:
        if self._events is not None:
            return [*self._sse(self._events.rest()), Finished()]
        body = self._body.content()
        self._body.clear()
        response = decode_json(_response, body)
        if response is None:
            bare = decode_json(_bare_response, body) or _BareResponse()
            response = _Response(bare.id, None, bare.model, bare.usage)
        if response.id and response.status in _LATER:
            return (Deferred(response.id),)  # done in the background, and told to whoever asks for its id
        return [*self._answer.whole(response), Finished()]

    def _sse(self, data: bytes | None) -> Iterable[Event]:
        event = _told(data)
        return NO_EVENTS if event is None else self._answer.event(event)


class OpenAIResponsesSocket(SocketDialect):
    """``GET /responses`` upgraded: many responses on one socket, each with its own ``response.create``."""

    def __init__(self, head: RequestHead) -> None:
        self._number = 0
        self._waiting: dict[str, deque[tuple[str, _Answer]]] = {}
        self._count = 0
        self._last: tuple[str, int] | None = None  # id and tokens of the latest response that ended

    def asks(self, frame: Frame) -> Ask | None:
        """A ``response.create`` begins a response, and so does the provider's own after a steer."""
        if frame.kind is not Kind.TEXT:
            return None
        if frame.side is Side.AGENT:
            request = _asked(frame.data) if _may_be(_CREATE, frame.data) else None
            if request is None or request.type != "response.create":
                return None
            return Ask(str(self._number), request.model, begins=True)
        event = _told(frame.data) if _may_be(_CREATED, frame.data) else None
        if event is None or event.type != "response.created" or self._waiting.get(event.stream_id or ""):
            return None
        return Ask(str(self._number), event.response.model if event.response else None, begins=True)

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Both sides speak JSON text."""
        if frame.kind is not Kind.TEXT:
            return NO_EVENTS
        if frame.side is Side.PROVIDER:
            event = _told(frame.data)
            return NO_EVENTS if event is None else self._took(event)
        request = _asked(frame.data) if _may_be(_CREATE, frame.data) else None
        if request is None or request.type != "response.create" or self._count >= WAITING_LIMIT:
            return NO_EVENTS
        key = self._open(request.stream_id, request.model)
        began = Began(Modality.LLM, key, request.model, _input_chars(request, self._last))
        return (began, RequestComplete(key))

    def _open(self, lane: str | None, model: str | None) -> str:
        key = str(self._number)
        self._number += 1
        self._count += 1
        self._waiting.setdefault(lane or "", deque()).append((key, _Answer(key, model)))
        return key

    def _took(self, event: _Event) -> Iterable[Event]:
        lane = event.stream_id or ""
        waiting = self._waiting.get(lane)
        if not waiting:
            if event.type != "response.created" or event.response is None or self._count >= WAITING_LIMIT:
                return NO_EVENTS
            return (Began(Modality.LLM, self._open(lane, event.response.model), event.response.model),)
        answer = waiting[0][1]
        if event.type == "error" and answer.is_created:
            return NO_EVENTS  # of another message: a response that runs has an end of its own
        events = answer.event(event)
        if event.type in _ENDS or event.type == "error":
            waiting.popleft()
            self._count -= 1
            if not waiting:
                del self._waiting[lane]
            self._remember(event.response)
        return events

    def _remember(self, response: _Response | None) -> None:
        """Keep how many tokens a follow-up takes over: it names the response and does not repeat it."""
        used = response.usage if response is not None else None
        if response is not None and response.id and used is not None:
            self._last = response.id, (used.input_tokens or 0) + (used.output_tokens or 0)


def background_response(answer: bytes) -> tuple[_Response, Usage] | None:
    """Read the answer of ``GET /responses/{id}`` and what was used; None where it tells of no response."""
    response = decode_json(_response, answer)
    if response is None or not response.id:
        return None
    return response, response.usage.usage() if response.usage is not None else NOTHING_USED


def _may_be(kind: bytes, data: bytes) -> bool:
    """Say whether a message may be of a kind, without decoding it: escapes can spell the same word."""
    return kind in data or b"\\" in data


def _asked(body: bytes | None) -> _Request | None:
    request = decode_json(_request, body)
    if request is None and (bare := decode_json(_bare_request, body)) is not None:
        return _Request(bare.type, bare.model, stream_id=bare.stream_id)
    return request


def _told(data: bytes | None) -> _Event | None:
    event = decode_json(_event, data)
    if event is None and (bare := decode_json(_bare_event, data)) is not None:
        found = bare.response
        response = None if found is None else _Response(found.id, None, found.model, found.usage)
        return _Event(bare.type, bare.stream_id, response=response)
    return event


def _input_chars(request: _Request, last: tuple[str, int] | None = None) -> int | None:
    """Characters of the prompt and the tools offered; of an earlier response that is known, those of its tokens."""
    if request.input is None and request.instructions is None:
        return None
    own = request.input if isinstance(request.input, str) else "".join(item.text for item in request.input or ())
    earlier_tokens = last[1] if last is not None and last[0] == request.previous_response_id else 0
    return len(own) + len(request.instructions or "") + len(bytes(request.tools)) + earlier_tokens * CHARS_PER_TOKEN


def _text(content: str | list[_Part] | None) -> str:
    if isinstance(content, list):
        return "".join(f"{part.text or ''}{part.refusal or ''}" for part in content)
    return content or ""


def _code(error: _ErrorBody | None, code: str | None) -> str:
    error = error or _ErrorBody()
    return short_code(error.code) or short_code(code) or short_code(error.type) or "provider_error"

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

from voicegw_sidecar.dialects.base import (
    NO_EVENTS,
    Ask,
    HttpDialect,
    SocketDialect,
    has_other_rates,
    is_event_stream,
)
from voicegw_sidecar.dialects.openai_responses_messages import (
    AnswerEvent,
    Request,
    Response,
    error_code,
    exact_response,
    input_chars,
    read_event,
    read_request,
    read_response,
    said,
    text_of,
)
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
from voicegw_sidecar.wire.body import BodyCopy
from voicegw_sidecar.wire.frames import Frame, Kind, RequestHead, ResponseHead, Side
from voicegw_sidecar.wire.sse import SseSplitter

WAITING_LIMIT = 256
"""Responses followed at once on one socket, all lanes together."""
_TEXT_DELTAS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_CALL_DELTAS = frozenset({
    "response.function_call_arguments.delta", "response.custom_tool_call_input.delta",
    "response.mcp_call_arguments.delta",
})  # fmt: skip
_THOUGHT_DELTAS = frozenset({"response.reasoning_text.delta", "response.reasoning_summary_text.delta"})
_LATER = ("queued", "in_progress")
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_CREATE, _CREATED = b'"response.create"', b'"response.created"'


class _Answer:
    """Reads the answer of one response, whichever way it comes."""

    def __init__(self, key: str, model: str | None) -> None:
        self._key = key
        self._model = model
        self._has_call_text = False
        self.is_created = False

    def event(self, event: AnswerEvent) -> Iterable[Event]:
        """Read one event of a stream."""
        if event.type in _TEXT_DELTAS:
            return (TextOut(event.delta, self._key),) if event.delta else NO_EVENTS
        if event.type in _CALL_DELTAS:
            self._has_call_text = True
            return (TextOut(event.delta, self._key, is_call=True),) if event.delta else NO_EVENTS
        if event.type in _THOUGHT_DELTAS:
            return (Reasoned(event.delta, self._key),) if event.delta else NO_EVENTS
        match event.type:
            case "response.created" if event.response is not None:
                self.is_created = True
                return self._named(event.response.model)
            case "response.output_item.added" if event.item is not None and event.item.name:
                self._has_call_text = False
                return (TextOut(event.item.text, self._key, is_call=True),)
            case "response.output_item.done" if event.item is not None and event.item.name:
                # of a call whose arguments did not come in fragments, this is the first that is told
                arguments = event.item.arguments or ""
                return NO_EVENTS if self._has_call_text else (TextOut(arguments, self._key, is_call=True),)
            case "error":
                return (Failed(error_code(event.error, event.code), self._key),)
            case kind if kind in _ENDS and event.response is not None:
                end = Failed(error_code(event.response.error, None), self._key) if kind == "response.failed" else None
                return [*self.report(event.response), end or Finished(self._key)]
            case _:
                return NO_EVENTS

    def whole(self, response: Response) -> Iterator[Event]:
        """Read an answer that came in one piece."""
        for item in response.output or ():
            thought = text_of(item.summary) + (text_of(item.content) if item.type == "reasoning" else "")
            if thought:
                yield Reasoned(thought, self._key)
            if item.type != "reasoning" and item.text:
                yield TextOut(item.text, self._key, is_call=bool(item.name))
        yield from self._named(response.model)
        yield from self.report(response)
        if response.error is not None:
            yield Failed(error_code(response.error, None), self._key)

    def report(self, response: Response) -> Iterator[Event]:
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
        request = read_request(self._request.content()) or Request()
        self._answer = _Answer("", request.model)
        yield Began(Modality.LLM, model=request.model, input_chars=input_chars(request))
        yield said(request)
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
        response = read_response(body)
        if response.id and response.status in _LATER:
            return (Deferred(response.id),)  # done in the background, and told to whoever asks for its id
        return [*self._answer.whole(response), Finished()]

    def _sse(self, data: bytes | None) -> Iterable[Event]:
        event = read_event(data)
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
            request = read_request(frame.data) if _may_be(_CREATE, frame.data) else None
            if request is None or request.type != "response.create":
                return None
            return Ask(str(self._number), request.model, begins=True)
        event = read_event(frame.data) if _may_be(_CREATED, frame.data) else None
        if event is None or event.type != "response.created" or self._waiting.get(event.stream_id or ""):
            return None
        return Ask(str(self._number), event.response.model if event.response else None, begins=True)

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Both sides speak JSON text."""
        if frame.kind is not Kind.TEXT:
            return NO_EVENTS
        if frame.side is Side.PROVIDER:
            event = read_event(frame.data)
            return NO_EVENTS if event is None else self._took(event)
        request = read_request(frame.data) if _may_be(_CREATE, frame.data) else None
        if request is None or request.type != "response.create" or self._count >= WAITING_LIMIT:
            return NO_EVENTS
        key = self._open(request.stream_id, request.model)
        began = Began(Modality.LLM, key, request.model, input_chars(request, self._last))
        return (began, said(request, key), RequestComplete(key))

    def _open(self, lane: str | None, model: str | None) -> str:
        key = str(self._number)
        self._number += 1
        self._count += 1
        self._waiting.setdefault(lane or "", deque()).append((key, _Answer(key, model)))
        return key

    def _took(self, event: AnswerEvent) -> Iterable[Event]:
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

    def _remember(self, response: Response | None) -> None:
        """Keep how many tokens a follow-up takes over: it names the response and does not repeat it."""
        used = response.usage if response is not None else None
        if response is not None and response.id and used is not None:
            self._last = response.id, (used.input_tokens or 0) + (used.output_tokens or 0)


def background_response(answer: bytes) -> tuple[Response, Usage] | None:
    """Read the answer of ``GET /responses/{id}`` and what was used; None where it tells of no response."""
    response = exact_response(answer)
    if response is None or not response.id:
        return None
    return response, response.usage.usage() if response.usage is not None else NOTHING_USED


def _may_be(kind: bytes, data: bytes) -> bool:
    """Say whether a message may be of a kind, without decoding it: escapes can spell the same word."""
    return kind in data or b"\\" in data

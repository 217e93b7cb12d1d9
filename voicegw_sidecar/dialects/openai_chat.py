"""OpenAI chat completions, as JSON and as server-sent events; spoken by most LLM servers.

Knows the messages and nothing about money or sockets. Also says how ``stream_options.include_usage`` is
added to a request and which chunk it adds to the answer: the one change the contract allows here.
Wire reference: https://platform.openai.com/docs/api-reference/chat (read 2026-11-20).
Captures: tests/captures/openai_chat_*.jsonl
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from voicegw_sidecar.dialects.base import (
    NO_EVENTS,
    HttpDialect,
    decode_json,
    has_other_rates,
    is_event_stream,
    prompted,
)
from voicegw_sidecar.events import (
    Began,
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
from voicegw_sidecar.wire.frames import RequestHead, ResponseHead
from voicegw_sidecar.wire.sse import SseSplitter

_INCLUDE_USAGE = b'{"include_usage":true}'


class _Details(Struct, frozen=True):
    cached_tokens: int | None = None
    audio_tokens: int | None = None
    reasoning_tokens: int | None = None


class ChatUsage(Struct, frozen=True):
    """The ``usage`` member of a completion."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None

    def usage(self) -> Usage:
        """Return the figures in our words."""
        sent, answered = self.prompt_tokens_details or _Details(), self.completion_tokens_details or _Details()
        return Usage(
            input_tokens=self.prompt_tokens,
            cached_input_tokens=sent.cached_tokens,
            output_tokens=self.completion_tokens,
            reasoning_tokens=answered.reasoning_tokens,
            input_audio_tokens=sent.audio_tokens or None,
            output_audio_tokens=answered.audio_tokens or None,
        )


class _Function(Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(Struct, frozen=True):
    function: _Function | None = None


class _ContentPart(Struct, frozen=True):
    text: str | None = None


class _Message(Struct, frozen=True):
    """A message or a fragment of one; ``reasoning`` and ``reasoning_content`` are other servers' additions."""

    role: str | None = None
    content: str | list[_ContentPart] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Choice(Struct, frozen=True):
    delta: _Message | None = None
    message: _Message | None = None


class _ErrorBody(Struct, frozen=True):
    code: str | int | None = None
    type: str | None = None


class _Groq(Struct, frozen=True):
    """Groq's own addition: its last chunk has the usage here, asked for or not."""

    usage: ChatUsage | None = None


class _Completion(Struct, frozen=True):
    choices: list[_Choice] | None = None
    usage: ChatUsage | None = None
    x_groq: _Groq | None = None
    model: str | None = None
    object: str | None = None
    service_tier: str | None = None
    error: _ErrorBody | str | None = None


class _UsageOnly(Struct, frozen=True):
    """What still counts of a chunk whose choices have a shape of some other server."""

    usage: ChatUsage | None = None
    model: str | None = None


class _Request(Struct, frozen=True):
    model: str | None = None
    messages: list[_Message] | None = None
    tools: Raw = Raw(b"")


class _ModelOnly(Struct, frozen=True):
    model: str | None = None


class _StreamRequest(Struct, frozen=True):
    stream: bool | None = None
    stream_options: dict[str, object] | UnsetType | None = UNSET


_completion = msgspec.json.Decoder(_Completion)
_usage_only = msgspec.json.Decoder(_UsageOnly)
_request = msgspec.json.Decoder(_Request)
_model_only = msgspec.json.Decoder(_ModelOnly)
_stream_request = msgspec.json.Decoder(_StreamRequest)
_members = msgspec.json.Decoder(dict[str, Raw])


class OpenAIChat(HttpDialect):
    """One chat completion request and its answer."""

    def __init__(self, head: RequestHead) -> None:
        super().__init__(head)
        self._answer = BodyCopy()
        self._events: SseSplitter | None = None
        self._model: str | None = None

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """Choose how the body is read: by its type, not by what was asked for."""
        if is_event_stream(head):
            self._events = SseSplitter()
        self._answer = BodyCopy(head.content_encoding)
        return super().answered(head)

    def _begun(self) -> Iterator[Event]:
        body = self._request.content()
        request = decode_json(_request, body)
        if request is None:  # messages in a shape of some other server: the model still counts
            request = _Request(model=(decode_json(_model_only, body) or _ModelOnly()).model)
        self._model = request.model
        yield Began(Modality.LLM, model=request.model, input_chars=_input_chars(request))
        yield prompted((message.role, _content(message)) for message in request.messages or ())
        yield RequestComplete()

    def _answer_piece(self, data: bytes) -> Iterable[Event]:
        if self._events is None:
            self._answer.add(data)
            return NO_EVENTS
        events: list[Event] = []
        for sse in self._events.feed(data):
            events.extend(self._chunk(sse.data))
        return events

    def _answer_complete(self) -> Iterable[Event]:
        data = self._answer.content() if self._events is None else self._events.rest()
        self._answer.clear()
        return [*self._chunk(data), Finished()]

    def _chunk(self, data: bytes | None) -> Iterable[Event]:
        if data is None:
            return NO_EVENTS
        if data == b"[DONE]":
            return (Finished(),)
        completion = decode_json(_completion, data)
        if completion is None:
            part = decode_json(_usage_only, data)
            return NO_EVENTS if part is None else self._read(_Completion(usage=part.usage, model=part.model))
        return self._read(completion)

    def _read(self, completion: _Completion) -> list[Event]:
        events: list[Event] = []
        if completion.choices:
            for choice in completion.choices:
                message = choice.delta or choice.message
                if message is not None:
                    _say(message, events)
        if self._model is None and completion.model:
            self._model = completion.model
            events.append(Named(completion.model))
        if has_other_rates(completion.service_tier):
            events.append(OtherRates())
        used = completion.usage or (completion.x_groq.usage if completion.x_groq is not None else None)
        if used is not None and (usage := used.usage()) != NOTHING_USED:
            events.append(Used(usage))
        if completion.error is not None or completion.object == "error":
            error = completion.error if isinstance(completion.error, _ErrorBody) else _ErrorBody()
            events.append(Failed(short_code(error.code) or short_code(error.type) or "provider_error"))
        return events


def _say(message: _Message, events: list[Event]) -> None:
    """Add what a message says to ``events``: its reasoning, its answer, then the tools it calls."""
    thought = message.reasoning_content or message.reasoning
    if thought:
        events.append(Reasoned(thought))
    text = message.content if type(message.content) is str else _content(message)
    if text:
        events.append(TextOut(text))
    if (message.tool_calls or message.function_call is not None) and (called := _calls(message)):
        events.append(TextOut(called, is_call=True))


def _content(message: _Message) -> str:
    content = message.content
    if isinstance(content, list):
        content = "".join([part.text or "" for part in content])
    return content or message.refusal or ""


def _calls(message: _Message) -> str:
    calls = [call.function for call in message.tool_calls or ()]
    functions = [function for function in (*calls, message.function_call) if function is not None]
    return "".join([f"{function.name or ''}{function.arguments or ''}" for function in functions])


def _input_chars(request: _Request) -> int | None:
    """Characters of the prompt, the calls made earlier and the tools offered included."""
    if request.messages is None:
        return None
    said = sum(len(_content(message)) + len(_calls(message)) for message in request.messages)
    return said + len(bytes(request.tools))


def with_usage_asked(body: bytes) -> bytes | None:
    """Return ``body`` with ``stream_options.include_usage`` added, or None where nothing is to be added.

    Only a streamed request that does not say itself whether it wants usage is changed. Where
    ``stream_options`` is absent every other byte stays as it was sent.
    """
    request = decode_json(_stream_request, body)
    if request is None or request.stream is not True:
        return None
    if request.stream_options is UNSET and b'"stream_options"' in body:
        return None  # there, and in no shape that could be added to
    if request.stream_options is UNSET:
        start = body.index(b"{") + 1
        return body[:start] + b'"stream_options":' + _INCLUDE_USAGE + b"," + body[start:]
    options = request.stream_options or {}
    if "include_usage" in options:
        return None
    members = decode_json(_members, body)
    if members is None:
        return None
    members["stream_options"] = Raw(msgspec.json.encode({**options, "include_usage": True}))
    return msgspec.json.encode(members)


def is_usage_chunk(data: bytes | None) -> bool:
    """Say whether an event is the extra chunk that ``include_usage`` adds: usage, and no choices."""
    if data is None or b'"usage"' not in data:
        return False
    completion = decode_json(_completion, data)
    return completion is not None and completion.usage is not None and completion.choices == []

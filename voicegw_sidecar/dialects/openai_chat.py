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

from voicegw_sidecar.dialects.base import decode_json
from voicegw_sidecar.events import Began, Event, Failed, Finished, Named, RequestComplete, TextOut, Used
from voicegw_sidecar.terms import Modality, Usage
from voicegw_sidecar.wire.body import BodyCopy
from voicegw_sidecar.wire.frames import End, Frame, RequestHead, ResponseHead, Side
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


class _Message(Struct, frozen=True):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(Struct, frozen=True):
    delta: _Message | None = None
    message: _Message | None = None


class _ErrorBody(Struct, frozen=True):
    code: str | int | None = None
    type: str | None = None


class _Completion(Struct, frozen=True):
    choices: list[_Choice] | None = None
    usage: ChatUsage | None = None
    model: str | None = None
    error: _ErrorBody | None = None


class _ContentPart(Struct, frozen=True):
    text: str | None = None


class _InputMessage(Struct, frozen=True):
    content: str | list[_ContentPart] | None = None


class _Request(Struct, frozen=True):
    model: str | None = None
    stream: bool | None = None
    messages: list[_InputMessage] | None = None


class _ModelOnly(Struct, frozen=True):
    model: str | None = None


class _StreamRequest(Struct, frozen=True):
    stream: bool | None = None
    stream_options: dict[str, object] | UnsetType | None = UNSET


_completion = msgspec.json.Decoder(_Completion)
_request = msgspec.json.Decoder(_Request)
_model_only = msgspec.json.Decoder(_ModelOnly)
_stream_request = msgspec.json.Decoder(_StreamRequest)
_members = msgspec.json.Decoder(dict[str, Raw])


class OpenAIChat:
    """One chat completion request and its answer."""

    def __init__(self, head: RequestHead) -> None:
        self._request = BodyCopy()
        self._answer: BodyCopy | None = None
        self._events: SseSplitter | None = None
        self._model: str | None = None

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """Choose how the body is read: by its type, not by what was asked for."""
        if head.content_type.startswith("text/event-stream") and head.content_encoding in ("", "identity"):
            self._events = SseSplitter()
        else:
            self._answer = BodyCopy(head.content_encoding)
        return ()

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Collect the request; read the answer as it comes."""
        if frame.side is Side.AGENT:
            self._request.add(frame.data)
        elif self._events is not None:
            return [event for sse in self._events.feed(frame.data) for event in self._chunk(sse.data)]
        elif self._answer is not None:
            self._answer.add(frame.data)
        return ()

    def ended(self, side: Side, end: End) -> Iterable[Event]:
        """The request is known once complete; so is an answer that is not streamed."""
        if side is Side.AGENT:
            return self._begun()
        if end is not End.COMPLETE:
            return ()
        if self._answer is not None:
            completion = decode_json(_completion, self._answer.content())
            return [*(self._read(completion) if completion else ()), Finished()]
        return [Finished()]

    def _begun(self) -> Iterator[Event]:
        body = self._request.content()
        request = decode_json(_request, body)
        if request is None:  # messages in a shape of some other server: the model still counts
            request = _Request(model=(decode_json(_model_only, body) or _ModelOnly()).model)
        self._model = request.model
        yield Began(Modality.LLM, model=request.model, input_chars=_input_chars(request))
        yield RequestComplete()

    def _chunk(self, data: bytes | None) -> Iterable[Event]:
        if data is None:
            return ()
        if data == b"[DONE]":
            return (Finished(),)
        completion = decode_json(_completion, data)
        return self._read(completion) if completion else ()

    def _read(self, completion: _Completion) -> list[Event]:
        events: list[Event] = []
        for choice in completion.choices or ():
            text = _text(choice.delta or choice.message)
            if text:
                events.append(TextOut(text))
        if self._model is None and completion.model:
            self._model = completion.model
            events.append(Named(completion.model))
        if completion.usage is not None:
            events.append(Used(completion.usage.usage()))
        if completion.error is not None:
            events.append(Failed(str(completion.error.code or completion.error.type or "error")[:64]))
        return events


def _text(message: _Message | None) -> str:
    if message is None:
        return ""
    text = message.content or message.refusal or ""
    for call in message.tool_calls or ():
        if call.function is not None:
            text += (call.function.name or "") + (call.function.arguments or "")
    return text


def _input_chars(request: _Request) -> int | None:
    if request.messages is None:
        return None
    count = 0
    for message in request.messages:
        if isinstance(message.content, str):
            count += len(message.content)
        elif message.content is not None:
            count += sum(len(part.text or "") for part in message.content)
    return count


def with_usage_asked(body: bytes) -> bytes | None:
    """Return ``body`` with ``stream_options.include_usage`` added, or None where nothing is to be added.

    Only a streamed request that does not say itself whether it wants usage is changed. Where
    ``stream_options`` is absent every other byte stays as it was sent.
    """
    request = decode_json(_stream_request, body)
    if request is None or request.stream is not True:
        return None
    if request.stream_options is UNSET:
        start = body.index(b"{") + 1
        return body[:start] + b'"stream_options":' + _INCLUDE_USAGE + b"," + body[start:]
    options = request.stream_options or {}
    if "include_usage" in options:
        return None
    members = _members.decode(body)
    members["stream_options"] = Raw(msgspec.json.encode({**options, "include_usage": True}))
    return msgspec.json.encode(members)


def is_usage_chunk(data: bytes | None) -> bool:
    """Say whether an event is the extra chunk that ``include_usage`` adds: usage, and no choices."""
    if data is None or b'"usage"' not in data:
        return False
    completion = decode_json(_completion, data)
    return completion is not None and completion.usage is not None and completion.choices == []

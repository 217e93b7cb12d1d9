"""Anthropic: messages, as JSON and as named server-sent events.

Knows Anthropic's messages and nothing about money or sockets. On the wire ``input_tokens`` leaves the cached ones
out; ours are the sum. The output of ``message_start`` is a first token or so and no figure for the answer; that of
``message_delta`` is cumulative, so the last one counts. A stream is whole once ``message_stop`` came, in however good
order its connection ends; a whole answer is a JSON object.
Wire reference: https://platform.claude.com/docs/en/build-with-claude/streaming and
https://platform.claude.com/docs/en/api/errors (read 2026-11-21), shapes as the anthropic SDK 1.17 decodes them.
Captures: tests/captures/anthropic_messages_*.jsonl
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from voicegw_sidecar.dialects.base import NO_EVENTS, HttpDialect, decode_json, is_event_stream, prompted
from voicegw_sidecar.events import (
    MESSAGE_LIMIT_CHARS,
    Began,
    Event,
    Failed,
    Finished,
    Named,
    Reasoned,
    RequestComplete,
    TextOut,
    ToolCall,
    Used,
)
from voicegw_sidecar.providers.base import AuthStyle, Baseline, Endpoint, ErrorShape, Provider
from voicegw_sidecar.terms import NOTHING_USED, Modality, Usage
from voicegw_sidecar.wire.body import BodyCopy, short_code
from voicegw_sidecar.wire.frames import RequestHead, ResponseHead
from voicegw_sidecar.wire.sse import SseSplitter


class _OutputDetails(Struct, frozen=True):
    thinking_tokens: int | None = None


class _Usage(Struct, frozen=True):
    """``usage`` of a message or of a ``message_delta``; each figure is cumulative."""

    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None

    def after(self, earlier: _Usage) -> _Usage:
        """Return these figures, completed by earlier ones where they say nothing."""
        names = self.__struct_fields__
        values = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return _Usage(**{name: values.get(name, getattr(earlier, name)) for name in names})

    def usage(self) -> Usage:
        """Return the figures in our words: input with the cached tokens."""
        parts = (self.input_tokens, self.cache_creation_input_tokens, self.cache_read_input_tokens)
        return Usage(
            input_tokens=None if self.input_tokens is None else sum(part or 0 for part in parts),
            cached_input_tokens=self.cache_read_input_tokens,
            cache_write_tokens=self.cache_creation_input_tokens,
            output_tokens=self.output_tokens,
            reasoning_tokens=(self.output_tokens_details or _OutputDetails()).thinking_tokens,
        )


class _TextPart(Struct, frozen=True):
    text: str | None = None


class _Block(Struct, frozen=True):
    """A content block of either side: text, thinking, a tool call with its ``input``, or a tool's result."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    id: str | None = None
    name: str | None = None
    input: Raw = Raw(b"")
    content: str | list[_TextPart] | _TextPart | None = None

    @property
    def chars(self) -> int:
        """Characters of all that is text in it."""
        inner = self.content
        parts = inner if isinstance(inner, list) else [inner if isinstance(inner, _TextPart) else _TextPart(inner)]
        inner_chars = sum(len(part.text or "") for part in parts)
        own = (self.text, self.thinking, self.name)
        return sum(len(text or "") for text in own) + len(bytes(self.input)) + inner_chars


class _Turn(Struct, frozen=True):
    role: str | None = None
    content: str | list[_Block] | None = None

    @property
    def text(self) -> str:
        """What is said in it, calls and their results left out."""
        if isinstance(self.content, list):
            return "".join(block.text or "" for block in self.content)
        return self.content or ""


class _Request(Struct, frozen=True):
    model: str | None = None
    system: str | list[_Block] | None = None
    messages: list[_Turn] | None = None
    tools: Raw = Raw(b"")


class _ModelOnly(Struct, frozen=True):
    model: str | None = None


class _Delta(Struct, frozen=True):
    type: str = ""
    text: str = ""
    thinking: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Error(Struct, frozen=True):
    type: str | None = None
    message: str | None = None


class _Message(Struct, frozen=True):
    model: str | None = None
    usage: _Usage | None = None


class _Answer(Struct, frozen=True):
    """A whole answer, or one event of a stream."""

    type: str = ""
    model: str | None = None
    message: _Message | None = None
    content: list[_Block] | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    stop_reason: str | None = None
    usage: _Usage | None = None
    error: _Error | None = None


class _UsageOnly(Struct, frozen=True):
    """What still counts of an answer whose content has a shape that is not known."""

    type: str = ""
    model: str | None = None
    usage: _Usage | None = None


_request = msgspec.json.Decoder(_Request)
_model_only = msgspec.json.Decoder(_ModelOnly)
_answer = msgspec.json.Decoder(_Answer)
_usage_only = msgspec.json.Decoder(_UsageOnly)


class AnthropicMessages(HttpDialect):
    """One ``/v1/messages`` request and its answer."""

    def __init__(self, head: RequestHead) -> None:
        super().__init__(head)
        self._answer = BodyCopy()
        self._events: SseSplitter | None = None
        self._model: str | None = None
        self._used = _Usage()
        self._call = ToolCall(-1)
        """The call that began last; its id and name are let go of with its first fragment."""
        self._reason = ""
        self._is_over = False
        """True once a stream said that it is whole, or why it is not."""
        self._is_message = True
        """False for events, even where they are packed and cannot be read as they come."""

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """Choose how the body is read: by its type, not by what was asked for."""
        if is_event_stream(head):
            self._events = SseSplitter()
        self._is_message = not head.content_type.lower().startswith("text/event-stream")
        self._answer = BodyCopy(head.content_encoding)
        return super().answered(head)

    def _begun(self) -> Iterator[Event]:
        body = self._request.content()
        request = decode_json(_request, body)
        if request is None:
            request = _Request(model=(decode_json(_model_only, body) or _ModelOnly()).model)
        self._model = request.model
        yield Began(Modality.LLM, model=request.model, input_chars=_input_chars(request))
        yield prompted((turn.role, turn.text) for turn in request.messages or ())
        yield RequestComplete()

    def _answer_piece(self, data: bytes) -> Iterable[Event]:
        if self._events is None:
            self._answer.add(data)
            return NO_EVENTS
        return [event for sse in self._events.feed(data) for event in self._event(sse.data)]

    def _answer_complete(self) -> Iterable[Event]:
        if self._events is not None:
            last = [*self._event(self._events.rest())]
            return [*last, Finished(reason=self._reason) if self._is_over else _BROKEN_OFF]
        body = self._answer.content()
        self._answer.clear()
        return [*self._whole(body), Finished(reason=self._reason)]

    def _whole(self, body: bytes | None) -> Iterator[Event]:
        answer = decode_json(_answer, body)
        if answer is None:
            bare = decode_json(_usage_only, body)
            if bare is None:
                if body is not None and self._is_message:  # it could be unpacked, and is none
                    yield _NO_MESSAGE
                return
            answer = _Answer(bare.type, bare.model, usage=bare.usage)
        if answer.type == "error":
            yield _failed(answer.error)
        for block in answer.content or ():
            if block.thinking:
                yield Reasoned(block.thinking)
            if block.text:
                yield TextOut(block.text)
            arguments = bytes(block.input).decode("utf-8", "replace")
            if block.name or arguments:
                self._call = ToolCall(self._call.index + 1, block.id or "", block.name or "", arguments)
                yield TextOut(self._call.name + arguments, is_call=True, call=self._call)
        self._reason = _reason(answer.stop_reason)
        yield from self._named(answer.model)
        yield from self._report(answer.usage)

    def _event(self, data: bytes | None) -> Iterable[Event]:
        event = decode_json(_answer, data)
        match event.type if event is not None else "":
            case "content_block_delta" if event is not None and event.delta is not None:
                return self._fragment(event.delta)
            case "content_block_start" if event is not None and event.content_block is not None:
                self._begin_call(event.content_block)
            case "message_start" if event is not None and event.message is not None:
                used = event.message.usage
                begun = None if used is None else replace(used, output_tokens=None)
                return [*self._named(event.message.model), *self._report(begun)]
            case "content_block_stop" if self._call.name:  # not one fragment came
                return self._fragment(_Delta("input_json_delta"))
            case "message_delta" if event is not None:
                self._reason = _reason((event.delta or _Delta()).stop_reason) or self._reason
                return self._report(event.usage)
            case "message_stop":
                self._is_over = True
                return (Finished(reason=self._reason),)
            case "error" if event is not None:
                self._is_over = True
                return (_failed(event.error),)
            case _:
                pass
        return NO_EVENTS

    def _fragment(self, delta: _Delta) -> Iterable[Event]:
        match delta.type:
            case "text_delta" if delta.text:
                return (TextOut(delta.text),)
            case "thinking_delta" if delta.thinking:
                return (Reasoned(delta.thinking),)
            case "input_json_delta" if delta.partial_json or self._call.name:
                # the first fragment is often empty, and all there is of a call without arguments
                call = replace(self._call, arguments=delta.partial_json)
                self._call = ToolCall(call.index)
                return (TextOut(call.name + delta.partial_json, is_call=True, call=call),)
            case _:
                return NO_EVENTS

    def _begin_call(self, block: _Block) -> None:
        if block.name:
            self._call = ToolCall(self._call.index + 1, block.id or "", block.name)

    def _named(self, model: str | None) -> Iterator[Event]:
        if self._model is None and model:
            self._model = model
            yield Named(model)

    def _report(self, used: _Usage | None) -> Iterator[Event]:
        if used is None:
            return
        self._used = used.after(self._used)
        usage = self._used.usage()
        if usage != NOTHING_USED:
            yield Used(usage)


def _input_chars(request: _Request) -> int | None:
    """Characters of the prompt, earlier tool calls, their results and the tools offered included."""
    if request.messages is None:
        return None
    contents = (request.system, *(turn.content for turn in request.messages))
    return sum(_content_chars(content) for content in contents) + len(bytes(request.tools))


def _content_chars(content: str | list[_Block] | None) -> int:
    if isinstance(content, list):
        return sum(block.chars for block in content)
    return len(content or "")


def _failed(error: _Error | None) -> Failed:
    told = error or _Error()
    return Failed(short_code(told.type) or "provider_error", message=(told.message or "")[:MESSAGE_LIMIT_CHARS])


_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Why an answer ended, in OpenAI's words; ``stop`` stands for reasons that are not known yet."""
_BROKEN_OFF = Failed("incomplete_answer", message="the answer broke off before its end; call again")
_NO_MESSAGE = Failed("incomplete_answer", message="the answer is empty or no message; call again")


def _reason(told: str | None) -> str:
    return _REASONS.get(told, "stop") if told else ""


_BUDGET_CODES = ("budget_exceeded", "budget_throttled", "unpriced_model")
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def _error_body(status: int, code: str, message: str) -> dict[str, object]:
    """Word an error with Anthropic's own type: its SDK and Pipecat tell a spent budget by ``billing_error``."""
    kind = "billing_error" if code in _BUDGET_CODES else _TYPES.get(status)
    kind = kind or ("api_error" if status >= 500 else "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": None}


ANTHROPIC = Provider(
    id="anthropic",
    base_url="https://api.anthropic.com",
    auth=AuthStyle.X_API_KEY,
    errors=ErrorShape(_error_body),
    endpoints=(Endpoint("POST", "/v1/messages", Modality.LLM, AnthropicMessages),),
    catalogue_id="anthropic",
    root_paths=("/v1/messages",),
    missing_v1=("messages",),
    baselines=(Baseline(Modality.LLM, 350, "curated", "2026-05-11"),),
    default_models=((Modality.LLM, "claude-haiku-4-5"),),
)

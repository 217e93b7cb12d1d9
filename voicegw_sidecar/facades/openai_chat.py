"""OpenAI's chat completions, from the side of who serves them: an answer written from a provider's events.

Used where the provider speaks another protocol; one that speaks this one is passed through.
Wire reference: https://platform.openai.com/docs/api-reference/chat (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import UNSET, Struct, UnsetType, field

from voicegw_sidecar.events import Event, Failed, Finished, TextOut, ToolCall, Used
from voicegw_sidecar.terms import NOTHING_USED, Usage


class _CallDelta(Struct, omit_defaults=True):
    arguments: str | UnsetType = UNSET
    name: str | UnsetType = UNSET


class _Call(Struct, omit_defaults=True):
    index: int | UnsetType = UNSET
    id: str | UnsetType = UNSET
    type: str | UnsetType = UNSET
    function: _CallDelta = field(default_factory=_CallDelta)


class _Said(Struct, omit_defaults=True):
    """``message`` or ``delta`` of a choice."""

    role: str | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    tool_calls: list[_Call] | UnsetType = UNSET


class ChatAnswer:
    """Writes one answer from a provider's events: as chunks, or whole.

    ``id`` and ``created_s`` (seconds since 1970) are what the answer is to say of itself.
    """

    def __init__(self, id_: str, created_s: int, model: str, *, wants_usage: bool = False) -> None:
        self._id = id_
        self._created_s = created_s
        self._model = model
        self._wants_usage = wants_usage
        self._usage = NOTHING_USED
        self._text: list[str] = []
        self._calls: list[_Call] = []
        self._reason = ""
        self._has_begun = False
        self._has_ended = False
        self.failure: Failed | None = None
        """What the provider said went wrong."""
        self.has_output = False
        """True once there is anything a listener could hear."""

    def take(self, events: Iterable[Event]) -> bytes:
        """Take events; return the chunks they make, as server-sent events."""
        out: list[bytes] = []
        for event in events:
            match event:
                case TextOut(call=ToolCall() as call):
                    out += [self._chunk(_Said(tool_calls=[piece])) for piece in self._called(call)]
                case TextOut(text=text, is_call=False) if text:
                    self.has_output = True
                    self._text.append(text)
                    out.append(self._chunk(_Said(content=text)))
                case Used(usage=usage):
                    self._usage = usage
                case Finished(reason=reason):
                    self._reason = reason or self._reason
                case Failed():  # of several the first says what went wrong
                    self.failure = self.failure or event
                case _:
                    pass
        return b"".join(out)

    @property
    def says_nothing(self) -> bool:
        """True while there is neither an answer nor a reason why there is none."""
        return not (self.has_output or self._reason)

    def end(self) -> bytes:
        """Return the last chunks of a whole answer."""
        if self._has_ended:
            return b""
        self._has_ended = True
        out = [self._chunk(_Said(tool_calls=[piece])) for piece in self._completed()]
        out.append(self._chunk(_Said(), self._finish_reason()))
        if self._wants_usage:
            out.append(_event({**self._head("chat.completion.chunk"), "choices": [], "usage": _usage(self._usage)}))
        return b"".join([*out, b"data: [DONE]\n\n"])

    def failed(self, message: str, code: str) -> bytes:
        """Return what ends an answer that has begun and cannot be completed."""
        self._has_ended = True
        error = {"message": message, "type": "server_error", "param": None, "code": code}
        return _event({"error": error})

    def whole(self) -> bytes:
        """Return the answer in one piece."""
        self._completed()
        said = _Said("assistant", "".join(self._text) or None)
        if self._calls:
            said.tool_calls = [_Call(UNSET, call.id, "function", call.function) for call in self._calls]
        choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": self._finish_reason()}
        answer = {**self._head("chat.completion"), "choices": [choice], "usage": _usage(self._usage)}
        return msgspec.json.encode(answer)

    def _called(self, call: ToolCall) -> list[_Call]:
        """Take a piece of a call: an earlier call is complete once another begins."""
        self.has_output = True
        out: list[_Call] = []
        if call.index >= len(self._calls):
            out += self._completed()
            self._calls.append(_Call(call.index, call.id, "function", _CallDelta("", call.name)))
            out.append(_Call(call.index, call.id, "function", _CallDelta(call.arguments, call.name)))
        else:
            out.append(_Call(call.index, function=_CallDelta(call.arguments)))
        whole = self._calls[-1].function
        whole.arguments = (whole.arguments or "") + call.arguments
        return out

    def _completed(self) -> list[_Call]:
        """Complete the last call: one without arguments has an empty object, which clients parse."""
        if not self._calls or self._calls[-1].function.arguments:
            return []
        last = self._calls[-1]
        last.function.arguments = "{}"
        return [_Call(last.index, function=_CallDelta("{}"))]

    def _finish_reason(self) -> str:
        return self._reason or ("tool_calls" if self._calls else "stop")

    def _head(self, kind: str) -> dict[str, object]:
        return {"id": self._id, "object": kind, "created": self._created_s, "model": self._model}

    def _chunk(self, delta: _Said, reason: str | None = None) -> bytes:
        if not self._has_begun:
            self._has_begun = True
            delta.role = "assistant"
            if delta.content is UNSET:
                delta.content = None
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        more = {"usage": None} if self._wants_usage else {}
        return _event({**self._head("chat.completion.chunk"), "choices": [choice], **more})


def _event(value: dict[str, object]) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def _usage(used: Usage) -> dict[str, object] | None:
    """Put usage in OpenAI's words; None where the provider did not tell all of it, details only where it did."""
    if used.input_tokens is None or used.output_tokens is None:
        return None
    found: dict[str, object] = {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.input_tokens + used.output_tokens,
    }
    if used.cached_input_tokens is not None:
        found["prompt_tokens_details"] = {"cached_tokens": used.cached_input_tokens}
    if used.reasoning_tokens is not None:
        found["completion_tokens_details"] = {"reasoning_tokens": used.reasoning_tokens}
    return found

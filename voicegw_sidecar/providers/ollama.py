"""Ollama: a local language model server, by OpenAI's protocol and by its own, which answers in lines of JSON.

Knows Ollama's messages and nothing about money or sockets. A prompt that the server still has in its cache may
come without ``prompt_eval_count``.
Wire reference: https://docs.ollama.com/api (read 2026-11-21). Captures: tests/captures/ollama_*.jsonl
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Raw, Struct

from voicegw_sidecar.dialects.base import HttpDialect, decode_json, prompted
from voicegw_sidecar.events import Began, Event, Failed, Finished, Reasoned, RequestComplete, TextOut, Used
from voicegw_sidecar.providers.base import AuthStyle, Baseline, Endpoint, Provider
from voicegw_sidecar.providers.openai import OPENAI_ERRORS, openai_endpoints
from voicegw_sidecar.terms import NOTHING_USED, Modality, Usage
from voicegw_sidecar.wire.frames import RequestHead
from voicegw_sidecar.wire.ndjson import LineSplitter


class _Function(Struct, frozen=True):
    name: str | None = None
    arguments: Raw = Raw(b"")


class _ToolCall(Struct, frozen=True):
    function: _Function | None = None


class _Message(Struct, frozen=True):
    role: str | None = None
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_ToolCall] | None = None

    @property
    def called(self) -> str:
        """Which tools are called, and with what."""
        calls = [call.function for call in self.tool_calls or () if call.function is not None]
        return "".join(f"{call.name or ''}{bytes(call.arguments).decode('utf-8', 'replace')}" for call in calls)


class _Request(Struct, frozen=True):
    """A request: messages, or a prompt."""

    model: str | None = None
    messages: list[_Message] | None = None
    prompt: str | None = None
    system: str | None = None
    tools: Raw = Raw(b"")


class _ModelOnly(Struct, frozen=True):
    model: str | None = None


class _Line(Struct, frozen=True):
    """One line of an answer; the last one has the figures."""

    message: _Message | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: str | None = None


_request = msgspec.json.Decoder(_Request)
_model_only = msgspec.json.Decoder(_ModelOnly)
_line = msgspec.json.Decoder(_Line)


class OllamaAnswer(HttpDialect):
    """One ``/api/chat`` or ``/api/generate`` request and its answer, streamed or whole: a whole one is one line."""

    def __init__(self, head: RequestHead) -> None:
        super().__init__(head)
        self._lines = LineSplitter()

    def _begun(self) -> Iterator[Event]:
        body = self._request.content()
        request = decode_json(_request, body)
        if request is None:
            request = _Request(model=(decode_json(_model_only, body) or _ModelOnly()).model)
        yield Began(Modality.LLM, model=request.model, input_chars=_input_chars(request))
        said = [(message.role, message.content or "") for message in request.messages or ()]
        yield prompted(said if request.prompt is None else [("user", request.prompt)])
        yield RequestComplete()

    def _answer_piece(self, data: bytes) -> Iterable[Event]:
        return [event for line in self._lines.feed(data) for event in _told(line)]

    def _answer_complete(self) -> Iterable[Event]:
        return [*_told(self._lines.rest()), Finished()]


def _told(data: bytes | None) -> Iterator[Event]:
    line = decode_json(_line, data)
    if line is None:
        return
    message = line.message or _Message(content=line.response, thinking=line.thinking)
    if message.thinking:
        yield Reasoned(message.thinking)
    if message.content:
        yield TextOut(message.content)
    if called := message.called:
        yield TextOut(called, is_call=True)
    usage = Usage(input_tokens=line.prompt_eval_count, output_tokens=line.eval_count)
    if usage != NOTHING_USED:
        yield Used(usage)
    if line.error is not None:
        yield Failed("provider_error")
    if line.done:
        yield Finished()


def _input_chars(request: _Request) -> int | None:
    if request.messages is None and request.prompt is None:
        return None
    said = "".join(f"{message.content or ''}{message.called}" for message in request.messages or ())
    return len(said) + len(request.prompt or "") + len(request.system or "") + len(bytes(request.tools))


OLLAMA = Provider(
    id="ollama",
    base_url="http://localhost:11434",
    auth=AuthStyle.BEARER,
    errors=OPENAI_ERRORS,
    endpoints=(
        *openai_endpoints(),
        Endpoint("POST", "/api/chat", Modality.LLM, OllamaAnswer),
        Endpoint("POST", "/api/generate", Modality.LLM, OllamaAnswer),
    ),
    is_local=True,
    missing_v1=("chat",),
    default_models=((Modality.LLM, "qwen2.5:3b"),),
    baselines=(
        Baseline(
            Modality.LLM,
            150,
            "https://chimeraforge.vercel.app/reports/ollama-benchmark-report: 8B at q4_0, warm, laptop GPU",
            "2026-11-21",
        ),
    ),
)

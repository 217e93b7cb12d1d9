"""OpenAI: chat completions as JSON and as server-sent events, and the list of models.

Wire reference: https://platform.openai.com/docs/api-reference/chat (shapes as the openai SDK 3.52 decodes
them). One word is one token; the prompt's tokens follow from its text.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.simulator.answer import Answer, answer, event
from voicegw_sidecar.simulator.refusal import provider_headers, refuse_request
from voicegw_sidecar.simulator.visit import Visit
from voicegw_sidecar.terms import NS_PER_S

_MODELS = ("gpt-4.1", "gpt-4.1-mini", "gpt-4o-mini", "gpt-4o-mini-tts", "gpt-4o-transcribe", "tts-1", "whisper-1")
_CHARS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4
_ARGUMENT_PIECE_CHARS = 6
_DONE = b"data: [DONE]\n\n"


class Message(Struct):
    """One message of the prompt: text, or parts of which only text is read."""

    role: str
    content: str | list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        """All text of the message."""
        if isinstance(self.content, list):
            return "".join(str(part.get("text", "")) for part in self.content)
        return self.content or ""


class StreamOptions(Struct):
    """``stream_options`` of a request."""

    include_usage: bool = False


class ChatRequest(Struct):
    """What is read of a chat request."""

    model: str
    messages: list[Message]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[dict[str, Any]] | None = None


class ToolCall(Struct, frozen=True):
    """The tool an answer calls, with its arguments as JSON text."""

    name: str
    arguments: str


class Completion(Struct, frozen=True):
    """A decided answer: text, or a tool call instead, and what it is billed."""

    id: str
    created_s: int
    model: str
    words: tuple[str, ...]
    tool: ToolCall | None
    usage: dict[str, Any]

    @property
    def finish_reason(self) -> str:
        """Why the answer ends."""
        return "tool_calls" if self.tool else "stop"


async def root(visit: Visit) -> web.StreamResponse:
    """``GET /`` and ``GET /v1/``, which clients use to warm up a connection: nothing is there."""
    return await refuse_request(visit, 404, f"Invalid URL (GET {visit.request.path.removeprefix('/openai')})")


async def models(visit: Visit) -> web.StreamResponse:
    """``GET /v1/models``."""
    listed = [{"id": name, "object": "model", "created": 1_750_000_000, "owned_by": "simulator"} for name in _MODELS]
    body = msgspec.json.encode({"object": "list", "data": listed})
    return await answer(visit, body, headers=provider_headers(visit))


async def chat(visit: Visit) -> web.StreamResponse:
    """``POST /v1/chat/completions``."""
    try:
        request = msgspec.json.decode(visit.body, type=ChatRequest)
    except msgspec.MsgspecError as error:
        return await refuse_request(visit, 400, f"We could not read the JSON body of your request: {error}")
    completion = _complete(visit, request)
    if not request.stream:
        return await _whole(visit, completion)
    with_usage = visit.script.chat.usage and request.stream_options is not None and request.stream_options.include_usage
    return await _stream(visit, completion, with_usage=with_usage)


def prompt_tokens(messages: list[Message]) -> int:
    """Return the input tokens these messages are billed: four characters are one, a message costs four more."""
    return sum(_TOKENS_PER_MESSAGE + -(-len(message.text) // _CHARS_PER_TOKEN) for message in messages)


def _complete(visit: Visit, request: ChatRequest) -> Completion:
    thinking, entry = visit.script.chat, visit.entry
    tool = _tool_call(visit, request)
    words = () if tool else tuple(visit.next_of(thinking.answers).split())
    entry.model = request.model
    entry.input_tokens = prompt_tokens(request.messages)
    entry.cached_tokens = min(thinking.cached_tokens, entry.input_tokens)
    entry.reasoning_tokens = thinking.reasoning_tokens
    entry.output_tokens = (len(argument_pieces(tool.arguments)) + 1 if tool else len(words)) + thinking.reasoning_tokens
    usage = {
        "prompt_tokens": entry.input_tokens,
        "completion_tokens": entry.output_tokens,
        "total_tokens": entry.input_tokens + entry.output_tokens,
        "prompt_tokens_details": {"cached_tokens": entry.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": entry.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
    return Completion(
        id=f"chatcmpl-{visit.request_id.replace('-', '')}",
        created_s=visit.clock.wall_ns() // NS_PER_S,
        model=request.model,
        words=words,
        tool=tool,
        usage=usage,
    )


def _tool_call(visit: Visit, request: ChatRequest) -> ToolCall | None:
    """Return the scripted tool call, or one where the last thing said is a question about the weather."""
    thinking = visit.script.chat
    offered = {function["name"]: function for tool in request.tools or [] if (function := tool.get("function"))}
    if thinking.tool is not None:
        name = thinking.tool
    elif offered and request.messages and _asks_for_weather(request.messages[-1]):
        name = next(iter(offered))
    else:
        return None
    arguments = thinking.tool_arguments
    return ToolCall(name, sample_arguments(offered.get(name, {})) if arguments is None else arguments)


def _asks_for_weather(message: Message) -> bool:
    return message.role == "user" and "weather" in message.text.lower()


def sample_arguments(function: dict[str, Any]) -> str:
    """Return arguments that fit the function's schema: one plausible value per required property."""
    schema = function.get("parameters") or {}
    samples = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    properties = schema.get("properties") or {}
    required = schema.get("required") or []
    filled = {name: samples.get((properties.get(name) or {}).get("type", "string"), "Paris") for name in required}
    return msgspec.json.encode(filled).decode()


def argument_pieces(arguments: str) -> list[str]:
    """Cut a call's arguments into the fragments that a stream brings."""
    return [arguments[at : at + _ARGUMENT_PIECE_CHARS] for at in range(0, len(arguments), _ARGUMENT_PIECE_CHARS)]


async def _whole(visit: Visit, completion: Completion) -> web.StreamResponse:
    thinking = visit.script.chat
    message: dict[str, Any] = {"role": "assistant", "content": " ".join(completion.words), "refusal": None}
    if completion.tool:
        message["content"] = None
        message["tool_calls"] = [
            {
                "id": f"call_{completion.id[-12:]}",
                "type": "function",
                "function": {"name": completion.tool.name, "arguments": completion.tool.arguments},
            }
        ]
    body = {
        "id": completion.id,
        "object": "chat.completion",
        "created": completion.created_s,
        "model": completion.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": completion.finish_reason}],
        "usage": completion.usage,
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
    }
    await visit.wait(thinking.first_token_ms + thinking.token_interval_ms * len(completion.words))
    visit.entry.usage_reported = True
    return await answer(visit, msgspec.json.encode(body), headers=provider_headers(visit), output=True)


async def _stream(visit: Visit, completion: Completion, *, with_usage: bool) -> web.StreamResponse:
    thinking = visit.script.chat
    sending = Answer(visit, content_type="text/event-stream; charset=utf-8", headers=provider_headers(visit))
    # the first chunk only says who speaks: it is no output, and half a latency earlier so that this shows
    start_ns = visit.clock.monotonic_ns()
    await visit.wait_since(start_ns, thinking.first_token_ms / 2)
    opening: dict[str, Any] = {"role": "assistant", "content": None if completion.tool else "", "refusal": None}
    await sending.chunk(_chunk(completion, opening, with_usage=with_usage))
    visit.entry.output_tokens = visit.entry.reasoning_tokens  # counted up: a client may leave before the end
    for index, delta in enumerate(_deltas(completion)):
        if index:
            await visit.wait(thinking.token_interval_ms)
        else:
            await visit.wait_since(start_ns, thinking.first_token_ms)
        await sending.chunk(_chunk(completion, delta, with_usage=with_usage), output=True)
        visit.entry.output_tokens = (visit.entry.output_tokens or 0) + 1
    is_groq = visit.entry.provider == "groq"
    await sending.chunk(
        _chunk(completion, {}, with_usage=with_usage, finish=completion.finish_reason, in_x_groq=is_groq)
    )
    visit.entry.usage_reported = with_usage or is_groq
    if with_usage:
        await sending.chunk(_chunk(completion, None, with_usage=True))
    await sending.chunk(_DONE)
    return await sending.finish()


def _deltas(completion: Completion) -> list[dict[str, Any]]:
    if completion.tool is None:
        return [{"content": word if index == 0 else f" {word}"} for index, word in enumerate(completion.words)]
    named = {
        "index": 0,
        "id": f"call_{completion.id[-12:]}",
        "type": "function",
        "function": {"name": completion.tool.name, "arguments": ""},
    }
    pieces = [{"index": 0, "function": {"arguments": piece}} for piece in argument_pieces(completion.tool.arguments)]
    return [{"tool_calls": [fragment]} for fragment in [named, *pieces]]


def _chunk(
    completion: Completion,
    delta: dict[str, Any] | None,
    *,
    with_usage: bool,
    finish: str | None = None,
    in_x_groq: bool = False,
) -> bytes:
    """Return one chunk; without a ``delta`` it is the last one, with the usage and no choice.

    Groq's last choice has the usage too, asked for or not, in a member of its own.
    """
    body: dict[str, Any] = {
        "id": completion.id,
        "object": "chat.completion.chunk",
        "created": completion.created_s,
        "model": completion.model,
        "service_tier": "default",
        "system_fingerprint": "fp_simulated",
        "choices": [],
    }
    if delta is not None:
        body["choices"] = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    if with_usage:
        body["usage"] = completion.usage if delta is None else None
    if in_x_groq:
        body["x_groq"] = {"id": f"req_{completion.id[-24:]}", "usage": completion.usage}
    return event(body)

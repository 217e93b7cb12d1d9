"""Anthropic: messages as JSON and as named server-sent events, and the list of models.

Wire reference: https://platform.claude.com/docs/en/build-with-claude/streaming (read 2026-11-21), shapes as the
anthropic SDK 1.17 decodes them. One word is one token, as with the simulated OpenAI. A request that marks
something with ``cache_control`` has its system text written to the cache.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.simulator.answer import Answer, answer
from voicegw_sidecar.simulator.openai import Message, ToolCall, argument_pieces, prompt_tokens, sample_arguments
from voicegw_sidecar.simulator.refusal import provider_headers, refuse_request
from voicegw_sidecar.simulator.visit import Visit

_MODELS = ("claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-6")
_CREATED = "2025-10-01T00:00:00Z"


class MessagesRequest(Struct):
    """What is read of a request."""

    model: str
    max_tokens: int
    messages: list[Message]
    system: str | list[dict[str, Any]] | None = None
    stream: bool | None = None
    tools: list[dict[str, Any]] | None = None


class Reply(Struct, frozen=True):
    """A decided answer: text, or a tool call instead, after some thinking or none."""

    id: str
    model: str
    thoughts: tuple[str, ...]
    words: tuple[str, ...]
    tool: ToolCall | None

    @property
    def stop_reason(self) -> str:
        """Why the answer ends."""
        return "tool_use" if self.tool else "end_turn"

    @property
    def output_tokens(self) -> int:
        """What the answer is billed."""
        spoken = len(argument_pieces(self.tool.arguments)) + 1 if self.tool else len(self.words)
        return spoken + len(self.thoughts)


async def models(visit: Visit) -> web.StreamResponse:
    """``GET /v1/models``."""
    listed = [{"type": "model", "id": name, "display_name": name, "created_at": _CREATED} for name in _MODELS]
    page = {"data": listed, "has_more": False, "first_id": _MODELS[0], "last_id": _MODELS[-1]}
    return await answer(visit, msgspec.json.encode(page), headers=provider_headers(visit))


async def messages(visit: Visit) -> web.StreamResponse:
    """``POST /v1/messages``, also with ``?beta=true``."""
    try:
        request = msgspec.json.decode(visit.body, type=MessagesRequest)
    except msgspec.MsgspecError as error:
        return await refuse_request(visit, 400, f"The request body is not valid: {error}")
    reply = _reply(visit, request)
    return await (_stream(visit, reply) if request.stream else _whole(visit, reply))


def _reply(visit: Visit, request: MessagesRequest) -> Reply:
    thinking, entry = visit.script.chat, visit.entry
    tool = _tool_call(visit, request)
    reply = Reply(
        id=f"msg_{visit.request_id.replace('-', '')}",
        model=request.model,
        thoughts=("Hmm. ",) * thinking.reasoning_tokens,
        words=() if tool else tuple(visit.next_of(thinking.answers).split()),
        tool=tool,
    )
    system = [Message("system", request.system)] if request.system else []
    entry.model = request.model
    entry.input_tokens = prompt_tokens([*system, *request.messages])
    entry.cached_tokens = min(thinking.cached_tokens, entry.input_tokens)
    is_caching = b'"cache_control"' in visit.body
    entry.cache_write_tokens = min(prompt_tokens(system), entry.input_tokens - entry.cached_tokens) * is_caching
    entry.reasoning_tokens = len(reply.thoughts)
    entry.output_tokens = reply.output_tokens
    return reply


def _tool_call(visit: Visit, request: MessagesRequest) -> ToolCall | None:
    """Return the scripted tool call, or one where the last thing said is a question about the weather."""
    thinking = visit.script.chat
    offered = {tool["name"]: tool for tool in request.tools or [] if "name" in tool}
    if thinking.tool is not None:
        name = thinking.tool
    elif offered and request.messages and _asks_for_weather(request.messages[-1]):
        name = next(iter(offered))
    else:
        return None
    arguments = thinking.tool_arguments
    schema = offered.get(name, {}).get("input_schema")
    return ToolCall(name, sample_arguments({"parameters": schema}) if arguments is None else arguments)


def _asks_for_weather(message: Message) -> bool:
    return message.role == "user" and "weather" in message.text.lower()


def _usage(visit: Visit, output_tokens: int) -> dict[str, Any]:
    """Return the usage so far as Anthropic words it: input without what was read from or written to the cache."""
    entry = visit.entry
    cached, written = entry.cached_tokens or 0, entry.cache_write_tokens or 0
    return {
        "input_tokens": (entry.input_tokens or 0) - cached - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output_tokens,
        "service_tier": "standard",
    }


async def _whole(visit: Visit, reply: Reply) -> web.StreamResponse:
    thinking = visit.script.chat
    content: list[dict[str, Any]] = []
    if reply.thoughts:
        content.append({"type": "thinking", "thinking": "".join(reply.thoughts), "signature": "c2ln"})
    if reply.tool:
        arguments = msgspec.json.decode(reply.tool.arguments)
        content.append({"type": "tool_use", "id": _tool_id(reply), "name": reply.tool.name, "input": arguments})
    else:
        content.append({"type": "text", "text": " ".join(reply.words)})
    usage = _usage(visit, reply.output_tokens)
    usage["output_tokens_details"] = {"thinking_tokens": len(reply.thoughts)}
    body = _message(reply, content, usage, reply.stop_reason)
    await visit.wait(thinking.first_token_ms + thinking.token_interval_ms * len(reply.words))
    visit.entry.usage_reported = True
    return await answer(visit, msgspec.json.encode(body), headers=provider_headers(visit), output=True)


async def _stream(visit: Visit, reply: Reply) -> web.StreamResponse:
    thinking = visit.script.chat
    sending = Answer(visit, content_type="text/event-stream; charset=utf-8", headers=provider_headers(visit))
    # as with the simulated OpenAI, the opening comes half a latency before the first token
    start_ns = visit.clock.monotonic_ns()
    await visit.wait_since(start_ns, thinking.first_token_ms / 2)
    await sending.chunk(_event("message_start", message=_message(reply, [], _usage(visit, 1), None)))
    await sending.chunk(_event("ping"))
    visit.entry.output_tokens = 0  # counted up: a client may leave before the end
    for index, (block, deltas) in enumerate(_blocks(reply)):
        await _block(visit, sending, index, block, deltas, start_ns)
    visit.entry.usage_reported = True
    usage = _usage(visit, reply.output_tokens) | {"output_tokens_details": {"thinking_tokens": len(reply.thoughts)}}
    del usage["cache_creation"], usage["service_tier"]
    delta = {"stop_reason": reply.stop_reason, "stop_sequence": None}
    await sending.chunk(_event("message_delta", delta=delta, usage=usage))
    await sending.chunk(_event("message_stop"))
    return await sending.finish()


def _blocks(reply: Reply) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Return each content block as it opens, and the deltas that fill it."""
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if reply.thoughts:
        thoughts = [{"type": "thinking_delta", "thinking": thought} for thought in reply.thoughts]
        opening = {"type": "thinking", "thinking": "", "signature": ""}
        blocks.append((opening, [*thoughts, {"type": "signature_delta", "signature": "c2ln"}]))
    if reply.tool:
        pieces = ["", *argument_pieces(reply.tool.arguments)]
        call: dict[str, Any] = {"type": "tool_use", "id": _tool_id(reply), "name": reply.tool.name, "input": {}}
        blocks.append((call, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]))
    else:
        words = [f" {word}" if at else word for at, word in enumerate(reply.words)]
        blocks.append(({"type": "text", "text": ""}, [{"type": "text_delta", "text": word} for word in words]))
    return blocks


async def _block(
    visit: Visit, sending: Answer, index: int, block: dict[str, Any], deltas: list[dict[str, Any]], start_ns: int
) -> None:
    """Send one content block; thinking comes before the first token's time, everything else at it or after."""
    thinking = visit.script.chat
    is_output = block["type"] != "thinking"
    if is_output:
        await visit.wait_since(start_ns, thinking.first_token_ms)
    await sending.chunk(_event("content_block_start", index=index, content_block=block))
    for number, delta in enumerate(deltas):
        if number and is_output:
            await visit.wait(thinking.token_interval_ms)
        await sending.chunk(_event("content_block_delta", index=index, delta=delta), output=is_output)
        if delta["type"] != "signature_delta":
            visit.entry.output_tokens = (visit.entry.output_tokens or 0) + 1
    await sending.chunk(_event("content_block_stop", index=index))


def _message(reply: Reply, content: list[dict[str, Any]], usage: dict[str, Any], stop: str | None) -> dict[str, Any]:
    return {
        "id": reply.id,
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": usage,
    }


def _tool_id(reply: Reply) -> str:
    return f"toolu_{reply.id[-12:]}"


def _event(kind: str, **more: object) -> bytes:
    return f"event: {kind}\ndata: ".encode() + msgspec.json.encode({"type": kind, **more}) + b"\n\n"

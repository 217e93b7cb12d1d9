"""OpenAI: responses as JSON, as server-sent events, and over a WebSocket.

Wire reference: https://developers.openai.com/api/reference/resources/responses (shapes as the openai SDK 3.52 decodes
them). Answers as the chat does: one word is one token. On a socket a follow-up that names an earlier response
(``previous_response_id``) is billed for what that one used, as if it had been sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.simulator.answer import Answer, answer
from voicegw_sidecar.simulator.ledger import Entry
from voicegw_sidecar.simulator.openai import Message, ToolCall, argument_pieces, prompt_tokens, sample_arguments
from voicegw_sidecar.simulator.refusal import openai_error, provider_headers, refuse_request
from voicegw_sidecar.simulator.visit import Crew, Visit
from voicegw_sidecar.simulator.websocket import Socket
from voicegw_sidecar.terms import NS_PER_S

_QUEUE_LIMIT = 64
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Item(Struct):
    """An item of the input: a message, or a tool's result, of which only text is read."""

    role: str = ""
    content: str | list[dict[str, Any]] | None = None
    output: str | list[dict[str, Any]] | None = None

    def message(self) -> Message:
        """Return it as a chat's message."""
        return Message(self.role, self.output if self.content is None else self.content)


class ResponseRequest(Struct):
    """What is read of a request, or of a ``response.create`` on the socket."""

    model: str
    input: str | list[Item] = ""
    type: str = ""
    instructions: str | None = None
    stream: bool | None = None
    tools: list[dict[str, Any]] | None = None
    previous_response_id: str | None = None

    def messages(self) -> list[Message]:
        """Return all that is said, the instructions first."""
        said = [Message("user", self.input)] if isinstance(self.input, str) else [item.message() for item in self.input]
        return [Message("system", self.instructions), *said] if self.instructions else said


class _Reply:
    """One decided answer: an item of text or a tool call, after some reasoning or none."""

    def __init__(self, visit: Visit, entry: Entry, request: ResponseRequest, earlier_tokens: int = 0) -> None:
        thinking = visit.script.chat
        messages = request.messages()
        self._visit = visit
        self._entry = entry
        self._script = thinking
        self._thoughts = ("Hmm. ",) * thinking.reasoning_tokens
        self._tool = _tool_call(visit, request, messages)
        self._words = () if self._tool else tuple(visit.next_of(thinking.answers).split())
        self._sequence = 0
        number = f"{entry.number:032x}"
        self.id = f"resp_{number}"
        self._created_s = visit.clock.wall_ns() // NS_PER_S
        self._request = request
        self._item_id = f"{'fc' if self._tool else 'msg'}_{number}"
        spoken = len(argument_pieces(self._tool.arguments)) + 1 if self._tool else len(self._words)
        entry.model = request.model
        entry.input_tokens = prompt_tokens(messages) + earlier_tokens
        entry.cached_tokens = min(thinking.cached_tokens, entry.input_tokens)
        entry.reasoning_tokens = len(self._thoughts)
        entry.output_tokens = spoken + len(self._thoughts)

    @property
    def tokens(self) -> int:
        """What a follow-up takes over."""
        return (self._entry.input_tokens or 0) + (self._entry.output_tokens or 0)

    def _item(self, status: str) -> dict[str, Any]:
        if self._tool is not None:
            arguments = self._tool.arguments if status == "completed" else ""
            call = {"call_id": f"call_{self._item_id[-12:]}", "name": self._tool.name, "arguments": arguments}
            return {"id": self._item_id, "type": "function_call", "status": status, **call}
        content = [self._part(" ".join(self._words))] if status == "completed" else []
        return {"id": self._item_id, "type": "message", "status": status, "role": "assistant", "content": content}

    def _part(self, text: str) -> dict[str, Any]:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}

    def _reasoning(self, thoughts: str) -> dict[str, Any]:
        summary = [{"type": "summary_text", "text": thoughts}] if thoughts else []
        return {"id": f"rs_{self._item_id[-32:]}", "type": "reasoning", "summary": summary}

    def response(self, status: str) -> dict[str, Any]:
        """Return the response object; only a completed one has output and usage."""
        entry, is_done = self._entry, status == "completed"
        output = [self._item(status)] if is_done else []
        if is_done and self._thoughts:
            output.insert(0, self._reasoning("".join(self._thoughts)))
        usage = {
            "input_tokens": entry.input_tokens,
            "input_tokens_details": {"cached_tokens": entry.cached_tokens, "cache_write_tokens": 0},
            "output_tokens": entry.output_tokens,
            "output_tokens_details": {"reasoning_tokens": entry.reasoning_tokens},
            "total_tokens": self.tokens,
        }
        return {
            "id": self.id,
            "object": "response",
            "created_at": self._created_s,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": self._request.instructions,
            "metadata": {},
            "model": self._request.model,
            "output": output,
            "parallel_tool_calls": True,
            "previous_response_id": self._request.previous_response_id,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": self._request.tools or [],
            "top_p": 1.0,
            "usage": usage if is_done else None,
        }

    async def whole(self) -> web.StreamResponse:
        """Answer in one piece."""
        await self._visit.wait(self._script.first_token_ms + self._script.token_interval_ms * len(self._words))
        self._entry.usage_reported = True
        body = msgspec.json.encode(self.response("completed"))
        return await answer(self._visit, body, headers=provider_headers(self._visit), output=True)

    async def tell(self, send: Send) -> None:
        """Send the events of the answer; output tokens are counted up, as a client may leave before the end."""
        start_ns = self._visit.clock.monotonic_ns()
        final_tokens, self._entry.output_tokens = self._entry.output_tokens, 0
        await self._visit.wait_since(start_ns, self._script.first_token_ms / 2)
        for kind in ("created", "in_progress"):
            await send(self._event(f"response.{kind}", response=self.response("in_progress")))
        if self._thoughts:
            await self._think(send)
        await self._visit.wait_since(start_ns, self._script.first_token_ms)
        index = 1 if self._thoughts else 0
        await send(self._event("response.output_item.added", output_index=index, item=self._item("in_progress")))
        await (self._call(send, index, self._tool) if self._tool else self._say(send, index))
        await send(self._event("response.output_item.done", output_index=index, item=self._item("completed")))
        self._entry.output_tokens = final_tokens
        self._entry.usage_reported = True
        self._visit.mark("ended_ns", self._entry)
        await send(self._event("response.completed", response=self.response("completed")))

    async def _think(self, send: Send) -> None:
        place = {"item_id": self._reasoning("")["id"], "output_index": 0, "summary_index": 0}
        await send(self._event("response.output_item.added", output_index=0, item=self._reasoning("")))
        empty = {"type": "summary_text", "text": ""}
        await send(self._event("response.reasoning_summary_part.added", **place, part=empty))
        for thought in self._thoughts:
            await send(self._event("response.reasoning_summary_text.delta", **place, delta=thought))
            self._entry.output_tokens = (self._entry.output_tokens or 0) + 1
        text = "".join(self._thoughts)
        await send(self._event("response.reasoning_summary_text.done", **place, text=text))
        whole = {"type": "summary_text", "text": text}
        await send(self._event("response.reasoning_summary_part.done", **place, part=whole))
        await send(self._event("response.output_item.done", output_index=0, item=self._reasoning(text)))

    async def _say(self, send: Send, index: int) -> None:
        place = {"item_id": self._item_id, "output_index": index, "content_index": 0}
        await send(self._event("response.content_part.added", **place, part=self._part("")))
        deltas = [f" {word}" if at else word for at, word in enumerate(self._words)]
        await self._deltas(send, "response.output_text.delta", deltas, {**place, "logprobs": []})
        text = " ".join(self._words)
        await send(self._event("response.output_text.done", **place, text=text, logprobs=[]))
        await send(self._event("response.content_part.done", **place, part=self._part(text)))

    async def _call(self, send: Send, index: int, tool: ToolCall) -> None:
        place = {"item_id": self._item_id, "output_index": index}
        self._entry.output_tokens = (self._entry.output_tokens or 0) + 1
        await self._deltas(send, "response.function_call_arguments.delta", argument_pieces(tool.arguments), place)
        done = {"name": tool.name, "arguments": tool.arguments}
        await send(self._event("response.function_call_arguments.done", **place, **done))

    async def _deltas(self, send: Send, kind: str, pieces: list[str], place: dict[str, Any]) -> None:
        for number, piece in enumerate(pieces):
            if number:
                await self._visit.wait(self._script.token_interval_ms)
            self._visit.mark("first_output_ns", self._entry)
            await send(self._event(kind, **place, delta=piece))
            self._entry.output_tokens = (self._entry.output_tokens or 0) + 1

    def _event(self, kind: str, **more: Any) -> dict[str, Any]:
        self._sequence += 1
        return {"type": kind, "sequence_number": self._sequence - 1, **more}


async def responses(visit: Visit) -> web.StreamResponse:
    """``POST /v1/responses``."""
    try:
        request = msgspec.json.decode(visit.body, type=ResponseRequest)
    except msgspec.MsgspecError as error:
        return await refuse_request(visit, 400, f"We could not read the JSON body of your request: {error}")
    reply = _Reply(visit, visit.entry, request)
    if not request.stream:
        return await reply.whole()
    sending = Answer(visit, content_type="text/event-stream; charset=utf-8", headers=provider_headers(visit))

    async def send(event: dict[str, Any]) -> None:
        data = f"event: {event['type']}\ndata: ".encode() + msgspec.json.encode(event) + b"\n\n"
        await sending.chunk(data)

    await reply.tell(send)
    return await sending.finish()


async def socket(visit: Visit) -> web.StreamResponse:
    """``GET /v1/responses`` with an upgrade: one response after the other."""
    connection = Socket(visit)
    await connection.accept(provider_headers(visit))
    asked: asyncio.Queue[tuple[ResponseRequest, Entry]] = asyncio.Queue(_QUEUE_LIMIT)
    entries: list[Entry] = []
    async with Crew() as crew:
        _ = crew.start(_answer_all(visit, connection, asked), name="simulator openai responses")
        try:
            while (frame := await connection.receive()) is not None:
                try:
                    request = msgspec.json.decode(frame, type=ResponseRequest)
                except msgspec.MsgspecError as error:
                    await connection.send({"type": "error", "status": 400, **openai_error(400, str(error))})
                    continue
                entry = visit.work(str(len(entries)))
                visit.mark("request_complete_ns", entry)
                entries.append(entry)
                await asked.put((request, entry))
        finally:
            for entry in entries:
                if entry.ended_ns is None:
                    visit.mark("hung_up_ns", entry)
    return connection.response


async def _answer_all(visit: Visit, connection: Socket, asked: asyncio.Queue[tuple[ResponseRequest, Entry]]) -> None:
    tokens: dict[str, int] = {}

    async def send(event: dict[str, Any]) -> None:
        await connection.send(event)

    while True:
        request, entry = await asked.get()
        reply = _Reply(visit, entry, request, tokens.get(request.previous_response_id or "", 0))
        tokens[reply.id] = reply.tokens
        await reply.tell(send)


def _tool_call(visit: Visit, request: ResponseRequest, messages: list[Message]) -> ToolCall | None:
    """Return the scripted tool call, or one where the last thing said is a question about the weather."""
    thinking = visit.script.chat
    offered = {tool["name"]: tool for tool in request.tools or [] if tool.get("name")}
    last = messages[-1] if messages else None
    if thinking.tool is not None:
        name = thinking.tool
    elif offered and last is not None and last.role == "user" and "weather" in last.text.lower():
        name = next(iter(offered))
    else:
        return None
    arguments = thinking.tool_arguments
    return ToolCall(name, sample_arguments(offered.get(name, {})) if arguments is None else arguments)

"""A conversation as Anthropic wants it: instructions apart, then turns of a person and Claude, one after the other.

Its rules of order: a person's turn comes first and last; the turn after one that calls tools begins with the results
of all its calls, and nothing else comes before them; in a turn that calls tools, words come before the calls. OpenAI's
callers need not keep any but the second, so what they send is put in that order. A call without a result, or a result
without a call, no order mends: OpenAI refuses it too.
References: https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls (results first, directly
after their calls; text and images in them), and its answers to what breaks the rules, as users report them in
https://github.com/anthropics/claude-code/issues/7929 (a call without a result),
https://github.com/maximhq/bifrost/issues/5097 (the characters of an id), and as opencode's tests have recorded one
(``rejects-malformed-assistant-tool-order``: words after a call). All read 2026-11-21.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

from voicegw_sidecar.chat_ask import AskedCall, ChatMessage, Part
from voicegw_sidecar.errors import BadRequest

_INSTRUCTING = ("system", "developer")
_SILENCE = "(silence)"
"""Stands where Anthropic wants something said by a person and nothing was: a greeting, or going on by itself."""
_DATA = re.compile(r"data:image/(png|jpe?g|gif|webp);base64,(.+)", re.DOTALL | re.IGNORECASE)
"""The images that it takes, by https://platform.claude.com/docs/en/build-with-claude/vision (read 2026-11-21)."""
_NO_ID = re.compile(r"[^a-zA-Z0-9_-]")
_SHOWN_CHARS = 64

Json = dict[str, object]


class Conversation(Struct, frozen=True):
    """``system`` are the instructions that lead it; ``called`` the names of the tools that were called in it."""

    system: list[str]
    messages: list[Json]
    called: list[str]


class _Call(Struct):
    """A call of a tool: its id here, and its result once that was found."""

    id: str
    use: Json
    result: Json | None = None


class _Turn(Struct):
    role: str
    blocks: list[Json]
    calls: list[_Call]


def conversation(asked: list[ChatMessage]) -> Conversation:
    """Put a conversation in Anthropic's order; raises `BadRequest` for what it has no place for."""
    system: list[str] = []
    calls = _paired(asked)
    turns: list[_Turn] = []
    for number, message in enumerate(asked):
        if message.role in _INSTRUCTING and not turns:
            system += [_words(part) for part in message.parts]
            continue
        if message.role == "tool":
            if turns and turns[-1].calls:
                _follow(turns, "user")
            continue
        role, blocks = _said(message)
        made = calls[number]
        if blocks or made:
            turn = _follow(turns, role)
            turn.blocks += blocks
            turn.calls += made
    if not turns or turns[0].role != "user":
        turns.insert(0, _silence())
    if turns[-1].role != "user":
        turns.append(_silence())
    messages: list[Json] = [
        {"role": turn.role, "content": [*turn.blocks, *(call.use for call in turn.calls)]} for turn in turns
    ]
    return Conversation(system, messages, _names(asked))


def _follow(turns: list[_Turn], role: str) -> _Turn:
    """Return the turn of that role which is now the last; a new one begins with the results of the calls before it."""
    if not turns or turns[-1].role != role:
        turns.append(_Turn(role, _results(turns[-1]) if turns else [], []))
    return turns[-1]


def _results(turn: _Turn) -> list[Json]:
    return [call.result for call in turn.calls if call.result is not None]


def _silence() -> _Turn:
    return _Turn("user", [_text(_SILENCE)], [])


def _paired(asked: list[ChatMessage]) -> list[list[_Call]]:
    """Return the calls that each message makes, each with its result, wherever that is told."""
    found: list[list[_Call]] = []
    waiting: dict[str, _Call] = {}
    taken: set[str] = set()
    for message in asked:
        made: list[_Call] = []
        for asked_call in _calls(message):
            if asked_call.id in waiting:
                raise _without_result(asked_call.id)
            call = _Call(_id(asked_call.id, taken), {})
            call.use = _use(call.id, asked_call)
            waiting[asked_call.id] = call
            made.append(call)
        found.append(made)
        if message.role == "tool":
            id_ = message.tool_call_id or ""
            answered = waiting.pop(id_, None)
            if answered is None:
                raise BadRequest(
                    f"messages: found a result of the call {id_[:_SHOWN_CHARS]!r}; expected one assistant message "
                    "before it that makes this call, and one result"
                )
            answered.result = {"type": "tool_result", "tool_use_id": answered.id, "content": _content(message)}
    for id_ in waiting:
        raise _without_result(id_)
    return found


def _without_result(id_: str) -> BadRequest:
    return BadRequest(
        f"messages: found no result of the call {id_[:_SHOWN_CHARS]!r}; expected a tool message with this tool_call_id"
    )


def _calls(message: ChatMessage) -> Iterable[AskedCall]:
    return message.tool_calls or () if message.role == "assistant" else ()


def _names(asked: list[ChatMessage]) -> list[str]:
    return list(dict.fromkeys(call.function.name for message in asked for call in _calls(message)))


def _id(asked: str, taken: set[str]) -> str:
    """Return a call's id in the characters that Anthropic takes, and no other call's.

    It follows from what comes before it alone: a conversation that grows keeps its ids, and its cache.
    """
    plain = _NO_ID.sub("_", asked) or "call"
    id_, number = plain, 2
    while id_ in taken:
        id_, number = f"{plain}_{number}", number + 1
    taken.add(id_)
    return id_


def _use(id_: str, asked: AskedCall) -> Json:
    arguments = asked.function.arguments.strip() or "{}"
    try:
        msgspec.json.decode(arguments, type=dict[str, Raw])
    except (msgspec.DecodeError, RecursionError):
        shown = asked.id[:_SHOWN_CHARS]
        raise BadRequest(f"messages: the arguments of the call {shown!r} are not a JSON object") from None
    return {"type": "tool_use", "id": id_, "name": asked.function.name, "input": Raw(arguments.encode())}


def _content(message: ChatMessage) -> str | list[Json]:
    """Return what a tool's result is: text, or blocks where there is an image in it."""
    if any(part.type != "text" for part in message.parts):
        return [_block(part) for part in message.parts]
    return "".join(part.text for part in message.parts)


def _said(message: ChatMessage) -> tuple[str, list[Json]]:
    match message.role:
        case "assistant" | "user":
            return message.role, [_block(part) for part in message.parts]
        case "system" | "developer":  # in the middle of a conversation they keep their place
            return "user", [_text(f"<instructions>\n{_words(part)}\n</instructions>") for part in message.parts]
        case other:
            raise BadRequest(f"messages: found the role {other[:32]!r}; expected system, user, assistant or tool")


def _words(part: Part) -> str:
    """Return what an instruction says."""
    if part.type != "text":
        raise BadRequest(f"messages: found content of type {part.type[:32]!r} in instructions; expected text")
    return part.text


def _block(part: Part) -> Json:
    if part.type == "text":
        return _text(part.text)
    if part.type != "image_url" or part.image_url is None:
        raise BadRequest(f"messages: found content of type {part.type[:32]!r}; expected text or image_url")
    url = part.image_url.url
    data = _DATA.fullmatch(url)
    if data is not None:
        kind = data.group(1).lower().replace("jpg", "jpeg")
        source = {"type": "base64", "media_type": f"image/{kind}", "data": data.group(2)}
    elif url.startswith("https://"):
        source = {"type": "url", "url": url}
    else:
        raise BadRequest(
            "messages: image_url has to be an https address or base64 data of a PNG, JPEG, GIF or WebP image"
        )
    return {"type": "image", "source": source}


def _text(text: str) -> Json:
    return {"type": "text", "text": text}

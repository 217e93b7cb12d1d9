"""A chat request put into Anthropic's messages; the answer is read by `providers.anthropic`.

Anthropic wants its instructions apart, a person's message first and last, and a limit for every answer. What it has
no word for and what changes only the manner of an answer is left out; what changes its meaning is refused.
Wire reference: https://platform.claude.com/docs/en/api/messages (read 2026-11-21).
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from voicegw_sidecar.chat_ask import ChatAsk, ChatMessage, ChosenTool, Part, Tool
from voicegw_sidecar.drivers.base import ProviderRequest
from voicegw_sidecar.errors import BadRequest

DEFAULT_MAX_TOKENS = 4096
"""The limit of an answer that asks for none: Anthropic has no default, and every model of it allows this much."""
_VERSION = "2023-06-01"
_INSTRUCTING = ("system", "developer")
_SILENCE = "(silence)"
"""Stands where Anthropic wants something said by a person and nothing was: a greeting, or going on by itself."""
_STEERED = re.compile(r"claude-(2|3|instant|(haiku|sonnet|opus)-4(-[0-6])?(-\d{8})?$)")
"""The models that let their sampling be steered; newer ones refuse a temperature with a 400. Source:
https://platform.claude.com/docs/en/about-claude/models/migration-guide (as quoted elsewhere, read 2026-11-21), and the
anthropic SDK 1.17, which knows no such parameter any more."""
_DATA = re.compile(r"data:(image/[a-z+.-]+);base64,(.+)", re.DOTALL)
_CHOICES = {"auto": "auto", "required": "any", "none": "none"}

_Json = dict[str, object]


def anthropic_chat(ask: ChatAsk, model: str) -> ProviderRequest:
    """Put a request into Anthropic's words; raises `BadRequest` for what Claude cannot be asked."""
    _refuse(ask)
    system, messages = _conversation(ask.messages)
    body: _Json = {
        "model": model,
        "max_tokens": ask.max_completion_tokens or ask.max_tokens or DEFAULT_MAX_TOKENS,
        "messages": messages,
    }
    if system:
        body["system"] = [{"type": "text", "text": text} for text in system]
    if ask.stream:
        body["stream"] = True
    body |= _sampling(ask, model)
    if ask.stop:
        body["stop_sequences"] = [ask.stop] if isinstance(ask.stop, str) else ask.stop
    if ask.tools:
        body["tools"] = [_tool(tool) for tool in ask.tools]
        if (choice := _choice(ask)) is not None:
            body["tool_choice"] = choice
    if ask.response_format is not None and ask.response_format.json_schema is not None:
        wanted = {"type": "json_schema", "schema": ask.response_format.json_schema.schema}
        body["output_config"] = {"format": wanted}
    headers = (("anthropic-version", _VERSION), ("Content-Type", "application/json"))
    return ProviderRequest("POST", "/v1/messages", (), headers, msgspec.json.encode(body))


def _refuse(ask: ChatAsk) -> None:
    if (ask.n or 1) > 1:
        raise BadRequest(f"n: found {ask.n}, but anthropic gives one answer; leave it out")
    if ask.logprobs:
        raise BadRequest("logprobs: found true, but anthropic tells none; leave it out")
    if ask.modalities and ask.modalities != ["text"]:
        raise BadRequest("modalities: expected text, which is all that anthropic answers with")
    if ask.response_format is not None and ask.response_format.type == "json_object":
        raise BadRequest("response_format: found json_object; expected json_schema, which anthropic can be held to")


def _sampling(ask: ChatAsk, model: str) -> _Json:
    """Return how the answer is to be sampled, where the model lets itself be told; it takes one figure only."""
    if _STEERED.match(model) is None:
        return {}
    if ask.temperature is not None:
        return {"temperature": min(ask.temperature, 1.0)}  # OpenAI's goes to 2, Anthropic's to 1
    return {} if ask.top_p is None else {"top_p": ask.top_p}


def _conversation(asked: list[ChatMessage]) -> tuple[list[str], list[_Json]]:
    """Return what leads the conversation as instructions, and the rest as turns of the two in their order."""
    system: list[str] = []
    turns: list[tuple[str, list[_Json]]] = []
    for message in asked:
        if message.role in _INSTRUCTING and not turns:
            system += [part.text for part in message.parts if part.text]
            continue
        role, blocks = _turn(message)
        if not blocks:
            continue
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        else:
            turns.append((role, blocks))
    silence: tuple[str, list[_Json]] = ("user", [{"type": "text", "text": _SILENCE}])
    if not turns or turns[0][0] != "user":
        turns.insert(0, silence)
    if turns[-1][0] != "user":
        turns.append(silence)
    return system, [{"role": role, "content": blocks} for role, blocks in turns]


def _turn(message: ChatMessage) -> tuple[str, list[_Json]]:
    match message.role:
        case "assistant":
            blocks = [_block(part) for part in message.parts]
            return "assistant", [*blocks, *(_use(call) for call in _calls(message))]
        case "tool":
            text = "".join(part.text for part in message.parts)
            return "user", [{"type": "tool_result", "tool_use_id": message.tool_call_id or "", "content": text}]
        case "system" | "developer":  # in the middle of a conversation they keep their place
            return "user", [_text(f"<instructions>\n{part.text}\n</instructions>") for part in message.parts]
        case "user":
            return "user", [_block(part) for part in message.parts]
        case other:
            raise BadRequest(f"messages: found the role {other[:32]!r}; expected system, user, assistant or tool")


def _calls(message: ChatMessage) -> list[tuple[str, str, str]]:
    return [(call.id, call.function.name, call.function.arguments) for call in message.tool_calls or ()]


def _use(call: tuple[str, str, str]) -> _Json:
    id_, name, arguments = call
    try:
        msgspec.json.decode(arguments or "{}", type=dict[str, Raw])
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest(f"messages: the arguments of the call {id_[:64]!r} are not a JSON object") from None
    return {"type": "tool_use", "id": id_, "name": name, "input": Raw((arguments or "{}").encode())}


def _block(part: Part) -> _Json:
    if part.type == "text":
        return _text(part.text)
    if part.type != "image_url" or part.image_url is None:
        raise BadRequest(f"messages: found content of type {part.type[:32]!r}; expected text or image_url")
    url = part.image_url.url
    data = _DATA.fullmatch(url)
    if data is not None:
        source = {"type": "base64", "media_type": data.group(1), "data": data.group(2)}
    elif url.startswith("https://"):
        source = {"type": "url", "url": url}
    else:
        raise BadRequest("messages: image_url has to be an https address or base64 data of an image")
    return {"type": "image", "source": source}


def _text(text: str) -> _Json:
    return {"type": "text", "text": text}


def _tool(tool: Tool) -> _Json:
    if tool.type != "function" or not tool.function.name:
        raise BadRequest(f"tools: found one of type {tool.type[:32]!r}; expected functions with a name")
    try:
        schema = msgspec.json.decode(tool.function.parameters, type=dict[str, Raw] | None)
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest(f"tools: the parameters of {tool.function.name[:64]!r} are not a JSON schema") from None
    # a function without parameters needs no schema from OpenAI's callers; Anthropic wants to read that it is an object
    found: _Json = {"name": tool.function.name, "input_schema": {"type": Raw(b'"object"'), **(schema or {})}}
    if tool.function.description:
        found["description"] = tool.function.description
    return found


def _choice(ask: ChatAsk) -> _Json | None:
    wanted = ask.tool_choice
    if isinstance(wanted, ChosenTool):
        if not wanted.function.name:
            raise BadRequest("tool_choice: found no function's name; expected auto, none, required or one function")
        choice: _Json = {"type": "tool", "name": wanted.function.name}
    elif wanted is None or wanted in _CHOICES:
        choice = {"type": _CHOICES[wanted or "auto"]}
    else:
        raise BadRequest(f"tool_choice: found {wanted[:32]!r}; expected auto, none, required or one function")
    if ask.parallel_tool_calls is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return choice if choice != {"type": "auto"} else None

"""A chat request put into Anthropic's messages; the answer is read by `providers.anthropic`.

Anthropic wants a limit for every answer and the messages in an order of its own (`anthropic_turns`). What it has no
word for and what changes only the manner of an answer is left out; what changes its meaning is refused.
Wire reference: https://platform.claude.com/docs/en/api/messages (read 2026-11-21).
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw

from voicegw_sidecar.chat_ask import ChatAsk, ChosenTool, Tool
from voicegw_sidecar.drivers.anthropic_turns import Json, conversation
from voicegw_sidecar.drivers.base import ProviderRequest
from voicegw_sidecar.errors import BadRequest

DEFAULT_MAX_TOKENS = 4096
"""The limit of an answer that asks for none: Anthropic has no default, and every model of it allows this much."""
_VERSION = "2023-06-01"
_STEERED = re.compile(r"claude-(2|3|instant|(haiku|sonnet|opus)-4(-[0-6])?(-\d{8})?$)")
"""The models that let their sampling be steered; newer ones refuse a temperature with a 400. Source:
https://platform.claude.com/docs/en/about-claude/models/migration-guide (as quoted elsewhere, read 2026-11-21), and the
anthropic SDK 1.17, which knows no such parameter any more."""
_CHOICES = {"auto": "auto", "required": "any", "none": "none"}


def anthropic_chat(ask: ChatAsk, model: str) -> ProviderRequest:
    """Put a request into Anthropic's words; raises `BadRequest` for what Claude cannot be asked."""
    _refuse(ask)
    told = conversation(ask.messages)
    body: Json = {
        "model": model,
        "max_tokens": ask.max_completion_tokens or ask.max_tokens or DEFAULT_MAX_TOKENS,
        "messages": told.messages,
    }
    if told.system:
        body["system"] = [{"type": "text", "text": text} for text in told.system]
    if ask.stream:
        body["stream"] = True
    body |= _sampling(ask, model)
    if stop := _stop(ask):
        body["stop_sequences"] = stop
    body |= _tools(ask, told.called)
    if ask.response_format is not None and ask.response_format.json_schema is not None:
        wanted = {"type": "json_schema", "schema": ask.response_format.json_schema.schema}
        body["output_config"] = {"format": wanted}
    headers = (("anthropic-version", _VERSION), ("Content-Type", "application/json"))
    return ProviderRequest("POST", "/v1/messages", (), headers, msgspec.json.encode(body))


def _refuse(ask: ChatAsk) -> None:
    """Raise for what would be another answer than the one that is asked for, or no number that OpenAI takes either."""
    if ask.n not in (None, 1):
        raise BadRequest(f"n: found {ask.n}, but anthropic gives one answer; leave it out")
    if ask.logprobs:
        raise BadRequest("logprobs: found true, but anthropic tells none; leave it out")
    if ask.modalities and ask.modalities != ["text"]:
        raise BadRequest("modalities: expected text, which is all that anthropic answers with")
    if ask.wants_audio:
        raise BadRequest("audio: found a voice asked for, but anthropic answers with text only; leave it out")
    if ask.has_functions:
        raise BadRequest("functions: found some, which only OpenAI knows; expected them as tools")
    if ask.response_format is not None and ask.response_format.type == "json_object":
        raise BadRequest("response_format: found json_object; expected json_schema, which anthropic can be held to")
    _require("temperature", ask.temperature, 0, 2)
    _require("top_p", ask.top_p, 0, 1)
    _require("max_tokens", ask.max_tokens, 1)
    _require("max_completion_tokens", ask.max_completion_tokens, 1)


def _require(name: str, found: float | None, least: int, most: int | None = None) -> None:
    if found is None or (found >= least and (most is None or found <= most)):
        return
    expected = f"{least} or more" if most is None else f"{least} to {most}"
    raise BadRequest(f"{name}: found {found:g}, expected {expected}")


def _stop(ask: ChatAsk) -> list[str]:
    """Return where to stop, without what is blank: a stop at a line's end would be refused with the whole request.

    Anthropic wants something else than blanks in each, as https://github.com/BerriAI/litellm/issues/3286 quotes it
    (read 2026-11-21).
    """
    return [text for text in ([ask.stop] if isinstance(ask.stop, str) else ask.stop or ()) if text.strip()]


def _sampling(ask: ChatAsk, model: str) -> Json:
    """Return how the answer is to be sampled, where the model lets itself be told; it takes one figure only."""
    if _STEERED.match(model) is None:
        return {}
    if ask.temperature is not None:
        return {"temperature": min(ask.temperature, 1.0)}  # OpenAI's goes to 2, Anthropic's to 1
    return {} if ask.top_p is None else {"top_p": ask.top_p}


def _tools(ask: ChatAsk, called: list[str]) -> Json:
    """Return the tools on offer and which of them to call.

    A conversation in which tools were called has to have some: without, Anthropic has refused it ("Requests which
    include `tool_use` or `tool_result` blocks must define tools", as https://github.com/BerriAI/litellm/issues/5747
    and many others meet it, read 2026-11-21), and servers like it still do. Where none are offered, those that were
    called are, by name alone, and none may be called.
    """
    if ask.tools:
        choice = _choice(ask)
        return {"tools": [_tool(tool) for tool in ask.tools]} | ({} if choice is None else {"tool_choice": choice})
    if ask.tool_choice not in (None, "auto", "none"):
        raise BadRequest("tool_choice: found a call asked for, but no tools; expected some to choose from")
    if not called:
        return {}
    known = [{"name": name, "input_schema": {"type": "object"}} for name in called]
    return {"tools": known, "tool_choice": {"type": "none"}}


def _tool(tool: Tool) -> Json:
    if tool.type != "function" or not tool.function.name:
        raise BadRequest(f"tools: found one of type {tool.type[:32]!r}; expected functions with a name")
    try:
        schema = msgspec.json.decode(tool.function.parameters, type=dict[str, Raw] | None)
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest(f"tools: the parameters of {tool.function.name[:64]!r} are not a JSON schema") from None
    # a function without parameters needs no schema from OpenAI's callers; Anthropic wants to read that it is an object
    found: Json = {"name": tool.function.name, "input_schema": {"type": Raw(b'"object"'), **(schema or {})}}
    if tool.function.description:
        found["description"] = tool.function.description
    return found


def _choice(ask: ChatAsk) -> Json | None:
    wanted = ask.tool_choice
    if isinstance(wanted, ChosenTool):
        if not wanted.function.name:
            raise BadRequest("tool_choice: found no function's name; expected auto, none, required or one function")
        choice: Json = {"type": "tool", "name": wanted.function.name}
    elif wanted is None or wanted in _CHOICES:
        choice = {"type": _CHOICES[wanted or "auto"]}
    else:
        raise BadRequest(f"tool_choice: found {wanted[:32]!r}; expected auto, none, required or one function")
    if ask.parallel_tool_calls is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return choice if choice != {"type": "auto"} else None

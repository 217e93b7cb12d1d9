"""A chat as its caller asks for it: OpenAI's request, read.

What changes only the manner of an answer and what nobody but OpenAI has is not read.
Wire reference: https://platform.openai.com/docs/api-reference/chat (read 2026-11-21).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct, field

from voicegw_sidecar.errors import BadRequest

_NOTHING = (b"null", b"[]")
_NULL = Raw(_NOTHING[0])
_Whole = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
"""What JSON allows beyond, nobody means, and no provider could be sent."""


class ImageUrl(Struct, frozen=True):
    """``url`` is an address, or the image itself as a ``data:`` address."""

    url: str


class Part(Struct, frozen=True):
    """A part of a message's content."""

    type: str = ""
    text: str = ""
    image_url: ImageUrl | None = None


class CalledFunction(Struct, frozen=True):
    """What a call names: ``arguments`` is JSON text."""

    name: str = ""
    arguments: str = ""


class AskedCall(Struct, frozen=True):
    """A call of a tool that an earlier answer made."""

    id: str = ""
    function: CalledFunction = CalledFunction()


class ChatMessage(Struct, frozen=True):
    """A message of the conversation so far."""

    role: str = ""
    content: str | list[Part] | None = None
    tool_calls: list[AskedCall] | None = None
    tool_call_id: str | None = None

    @property
    def parts(self) -> list[Part]:
        """Its content as parts, blank text left out."""
        found = [Part("text", self.content)] if isinstance(self.content, str) else self.content or []
        return [part for part in found if part.type != "text" or part.text.strip()]


class Function(Struct, frozen=True):
    """A tool on offer; ``parameters`` is a JSON schema."""

    name: str = ""
    description: str | None = None
    parameters: Raw = Raw(b"{}")


class Tool(Struct, frozen=True):
    """A tool on offer; only functions are served."""

    type: str = "function"
    function: Function = Function()


class ChosenTool(Struct, frozen=True):
    """The one tool that is to be called."""

    function: Function = Function()


class JsonSchema(Struct, frozen=True):
    """The form an answer is to have."""

    schema: Raw = Raw(b"{}")


class ResponseFormat(Struct, frozen=True):
    """``text``, ``json_object`` or ``json_schema``."""

    type: str = "text"
    json_schema: JsonSchema | None = None


class StreamOptions(Struct, frozen=True):
    """What a streamed answer is to have besides."""

    include_usage: bool | None = None


class ChatAsk(Struct, frozen=True):
    """A request."""

    model: str | None = None
    messages: list[ChatMessage] = field(default_factory=list)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Tool] | None = None
    tool_choice: str | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: _Whole | None = None
    max_completion_tokens: _Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    response_format: ResponseFormat | None = None
    n: _Whole | None = None
    logprobs: bool | None = None
    modalities: list[str] | None = None
    audio: Raw = _NULL
    functions: Raw = _NULL

    @property
    def wants_usage(self) -> bool:
        """True where a streamed answer is to end with its usage."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def wants_audio(self) -> bool:
        """True where the voice and format of a spoken answer are named."""
        return _is_something(self.audio)

    @property
    def has_functions(self) -> bool:
        """True where tools are on offer in the form that OpenAI had before there were tools."""
        return _is_something(self.functions)


def _is_something(value: Raw) -> bool:
    return b"".join(bytes(value).split()) not in _NOTHING


_ask = msgspec.json.Decoder(ChatAsk)


def read_chat(body: bytes) -> ChatAsk:
    """Read a request; raises `BadRequest` that names the member which is wrong."""
    try:
        return _ask.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"body: {error}; expected a chat completion request as JSON") from None

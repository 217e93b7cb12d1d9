"""What a tool is: a name, what it takes, and what it asks of the sidecar. Knows nothing of the MCP SDK."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from voicegw_sidecar.control_client import ControlClient
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.mcp.untrusted import visible

PROJECT = r"^[a-z0-9][a-z0-9_-]{0,63}$"
ProjectId = Annotated[str, Meta(pattern=PROJECT, description="id of a project")]
SessionId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$", description="id of a session")]
Entry = Annotated[
    str, Meta(pattern=r"^[!-~]{1,200}$", description="provider, provider/model or provider/model:voice-or-language")
]
Cursor = Annotated[str, Meta(pattern=r"^[0-9a-f-]{36}$", description="next of the page before, to go on")]
Limit = Annotated[int, Meta(ge=1, le=1000, description="how many at most")]
_LONGEST_FAULT_CHARS = 300


class Answer(Struct, frozen=True):
    """What a tool returns: the same in words and as structured content, with what is not ours marked in both."""

    text: str
    content: dict[str, Any]


class Effect(Struct, frozen=True):
    """What a tool does to the sidecar's settings; a tool without one reads only."""

    is_destructive: bool
    is_idempotent: bool


class Tool(Struct, frozen=True):
    """One tool. ``run`` waits for the sidecar, so it is run on a thread; raises `SidecarError`."""

    name: str
    title: str
    description: str
    arguments: type[Struct]
    run: Callable[[ControlClient, Any], Answer]
    effect: Effect | None = None

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of its arguments, an object at its root."""
        (root,), others = msgspec.json.schema_components([self.arguments], ref_template="#/$defs/{name}")
        name = root["$ref"].rpartition("/")[2]
        found = dict(others.pop(name))
        found.pop("title", None)
        found.pop("description", None)
        return {**found, **({"$defs": others} if others else {})}

    def read(self, arguments: dict[str, Any] | None) -> Struct:
        """Check what it is called with; raises `BadRequest` in one line."""
        for name, value in (arguments or {}).items():
            if isinstance(value, float) and not math.isfinite(value):  # JSON has none, and would carry on with null
                what = visible(name[:_LONGEST_FAULT_CHARS])
                raise BadRequest(f"{self.name}: {what}: found {value}, expected a number; nothing was done")
        try:
            return msgspec.convert(arguments or {}, self.arguments)
        except (msgspec.ValidationError, RecursionError) as error:
            raise BadRequest(f"{self.name}: {visible(str(error)[:_LONGEST_FAULT_CHARS])}; nothing was done") from None

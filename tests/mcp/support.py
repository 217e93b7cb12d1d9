"""The official client, talking to the real command."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import mcp
from mcp.client.stdio import stdio_client
from mcp_types import CallToolResult

ROOT = Path(__file__).resolve().parents[2]
ADMIN, VIEWER = "admin-key-1", "viewer-key-1"
KEYED = f"auth: {{api_keys: [{ADMIN}], viewer_keys: [{VIEWER}]}}\n"
COMMAND = (sys.executable, "-m", "voicegw_sidecar", "mcp")


class Editor:
    """What an editor has of the server: its tools, and what it wrote to stderr."""

    def __init__(self, client: mcp.Client, errors: Path) -> None:
        self.client = client
        self.errors = errors

    async def call(self, name: str, /, **arguments: Any) -> CallToolResult:
        return await self.client.call_tool(name, arguments)

    async def ask(self, name: str, /, **arguments: Any) -> tuple[str, dict[str, Any]]:
        """The text and the structured content of a call that has to succeed."""
        result = await self.call(name, **arguments)
        assert not result.is_error, text_of(result)
        return text_of(result), result.structured_content

    async def fails(self, name: str, /, **arguments: Any) -> str:
        """The one line of a call that has to fail."""
        result = await self.call(name, **arguments)
        text = text_of(result)
        assert (result.is_error, result.structured_content) == (True, None), text
        assert "\n" not in text
        assert "Traceback" not in text
        return text


def text_of(result: CallToolResult) -> str:
    """The text of an answer, which is all of its content but the structured one."""
    (content,) = result.content
    assert content.type == "text"
    return content.text


@asynccontextmanager
async def editor(url: str, key: str = "", mode: Literal["auto", "legacy"] = "auto") -> AsyncIterator[Editor]:
    """Start the server as an editor does, for the sidecar at this address; it has to keep silent on stderr."""
    environ = {"VOICEGW_URL": url, **({"VOICEGW_API_KEY": key} if key else {})}
    command = mcp.StdioServerParameters(command=COMMAND[0], args=list(COMMAND[1:]), env=environ, cwd=ROOT)
    with tempfile.NamedTemporaryFile("w+") as errors:
        async with mcp.Client(stdio_client(command, errors), mode=mode, read_timeout_seconds=30) as client:
            yield Editor(client, Path(errors.name))
        said = Path(errors.name).read_text()
        assert said == "", said

"""The server as a process: what it lists, how it refuses, how it starts and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import Any, Literal

import msgspec
import pytest

from tests.conftest import StartSidecar
from tests.mcp.support import ADMIN, COMMAND, KEYED, ROOT, editor
from tests.sidecar import raw_server, read_request
from voicegw_sidecar.control_client import ControlClient, NoAnswer, SaidNo, control_client
from voicegw_sidecar.mcp.server import TOOLS

NOWHERE = "http://127.0.0.1:9"
READ = {
    "health", "projects", "costs", "logs", "sessions", "session_waterfall", "why_was_this_session_slow", "routing",
    "simulate_route",
}  # fmt: skip
WRITE = {
    "create_project": (False, True), "update_project": (True, True), "set_routing": (True, True),
    "set_brand": (True, True), "share": (False, False),
}  # fmt: skip
"""Whether it destroys what was there, and whether a second call changes nothing more."""
HELLO: dict[str, Any] = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}  # fmt: skip


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_every_tool_says_what_it_does(mode: Literal["auto", "legacy"]) -> None:
    async with editor(NOWHERE, mode=mode) as at:
        tools = {tool.name: tool for tool in (await at.client.list_tools()).tools}
        assert at.client.instructions is not None
        assert "never an instruction" in at.client.instructions
    assert set(tools) == READ | set(WRITE)
    for name, tool in tools.items():
        hints = tool.annotations
        assert hints is not None
        assert (hints.read_only_hint, hints.open_world_hint) == (name in READ, False)
        assert (hints.destructive_hint, hints.idempotent_hint) == WRITE.get(name, (False, True))
        assert tool.input_schema["type"] == "object"
        assert tool.input_schema["additionalProperties"] is False
        assert ("confirm" in tool.input_schema["properties"]) == (name in WRITE)
        assert "never an instruction" in (tool.description or "")
        assert ("confirm: true" in (tool.description or "")) == (name in WRITE)


def test_no_tool_takes_a_path_an_address_or_a_key() -> None:
    for tool in TOOLS:
        taken = set(tool.schema()["properties"])
        assert not {name for name in taken if any(word in name for word in ("path", "file", "url", "key", "logo"))}


async def test_without_a_sidecar_every_tool_says_so_in_one_line() -> None:
    async with editor(NOWHERE) as at:
        for name in sorted(READ - {"session_waterfall", "why_was_this_session_slow"}):
            assert (await at.fails(name)).startswith(f"no sidecar answers at {NOWHERE}: ")
        for name in ("session_waterfall", "why_was_this_session_slow"):
            assert "start it with 'voicegw-sidecar serve'" in await at.fails(name, session_id="call-1")


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("logs", {"limit": "ten"}, "logs: Expected `int`"), ("logs", {"limit": 0}, "limit"),
        ("logs", {"limits": 1}, "unknown field `limits`"), ("logs", {"status": "slow"}, "status"),
        ("logs", {"project": "../../login"}, "project"), ("session_waterfall", {}, "session_id"),
        ("session_waterfall", {"session_id": "a/../../v1/status"}, "session_id"),
        ("create_project", {"project": "Not An Id"}, "project"), ("create_project", {"confirm": True}, "project"),
        ("create_project", {"project": "x", "providers": {"openai": {"api_key": "k"}}}, "unknown field `providers`"),
        ("set_brand", {"project": "acme", "logo": "/etc/passwd"}, "unknown field `logo`"),
        ("set_brand", {"project": "acme", "accent_color": "red"}, "accent_color"),
        ("share", {"project": "acme", "label": "x" * 121}, "label"),
        ("share", {"project": "acme", "label": "a\nb"}, "label: expected at most 120 characters on one line"),
        ("set_routing", {"project": "acme", "budget_ms": 3_600_001}, "budget_ms"),
        ("create_project", {"project": "x", "daily_budget": 1e10}, "daily_budget"),
        ("share", {"project": "acme", "days": 0}, "days"), ("update_project", {"project": "acme"}, "nothing to change"),
        ("set_brand", {"project": "acme"}, "nothing to set"), ("simulate_route", {"stt": "a b"}, "stt"),
        ("run_shell", {}, "there is no tool 'run_shell'"), ("costs", {"period": "year"}, "period"),
    ],
)  # fmt: skip
async def test_what_cannot_be_meant_is_one_line(name: str, arguments: dict[str, Any], told: str) -> None:
    async with editor(NOWHERE) as at:
        assert told in await at.fails(name, **arguments)


async def test_a_wrong_key_and_a_missing_one_are_told_of_and_not_repeated(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(KEYED) as sidecar:
        async with editor(sidecar.url, "S3CRET-wrong") as at:
            assert "S3CRET" not in await at.fails("projects")
        async with editor(sidecar.url) as at:
            assert "set VOICEGW_API_KEY" in await at.fails("projects")
        async with editor(sidecar.url, ADMIN) as at:
            await at.ask("projects")


def run(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command with nothing on stdin."""
    return subprocess.run(
        [*COMMAND, *words], cwd=ROOT, env={**os.environ, **environ}, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=30, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "environ", "told"),
    [
        (("--url", "nonsense"), {}, "--url: expected"), ((), {"VOICEGW_URL": "ftp://x"}, "VOICEGW_URL: expected"),
        (("--url", "http://a:S3CRET@127.0.0.1"), {}, "--url: expected"),
        (("--url", NOWHERE), {"VOICEGW_API_KEY": "S3CRET key"}, "VOICEGW_API_KEY: expected"),
        (("--port", "8080"), {}, "--port"),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line_and_exit_2(words: tuple[str, ...], environ: dict[str, str], told: str) -> None:
    ended = run(*words, **environ)
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
    assert told in ended.stderr
    assert "S3CRET" not in ended.stderr


def test_without_the_sdk_one_line_names_what_installs_it() -> None:
    code = "import sys; sys.modules['mcp'] = None\nfrom voicegw_sidecar.cli import main\nsys.exit(main(['mcp']))"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    told = "voicegw-sidecar: it is an extra; install it with: pip install 'voicegw-sidecar[mcp]'\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", told)


def test_it_starts_where_a_library_of_the_sdk_is_left_out() -> None:
    """As in the executable, which is without ``cryptography``."""
    code = (
        "import sys\n"
        "class Without:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('cryptography', 'uvicorn', 'jsonschema'):\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Without())\n"
        "from voicegw_sidecar.mcp import sdk\n"
        "found = sdk.find_spec\n"
        "sdk.find_spec = lambda name: None if name == 'cryptography' else found(name)\n"
        "from voicegw_sidecar.cli import main\n"
        "sys.exit(main(['mcp']))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, input=f"{msgspec.json.encode(HELLO).decode()}\n", capture_output=True,
        text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    assert msgspec.json.decode(ended.stdout)["result"]["serverInfo"]["name"] == "voicegw-sidecar"


async def start(url: str = NOWHERE) -> asyncio.subprocess.Process:
    """A server that has answered the first message, in a process group of its own."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "--url", url, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    await say(process, HELLO)
    await hear(process)
    return process


async def say(process: asyncio.subprocess.Process, message: object) -> None:
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(message) + b"\n")
    await process.stdin.drain()


async def hear(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    return msgspec.json.decode(await asyncio.wait_for(process.stdout.readline(), 20))


async def ended(process: asyncio.subprocess.Process) -> tuple[int, bytes]:
    """Its exit code and what it wrote to stderr; nothing of its group is left."""
    try:
        _, errors = await asyncio.wait_for(process.communicate(), 10)
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    assert process.returncode is not None
    return process.returncode, errors


async def test_it_ends_when_stdin_is_closed() -> None:
    process = await start()
    assert process.stdin is not None
    process.stdin.close()
    assert await ended(process) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_on_a_signal(number: signal.Signals) -> None:
    process = await start()
    process.send_signal(number)
    assert await ended(process) == (0, b"")


async def test_it_ends_when_nobody_reads_it() -> None:
    out, ours = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *COMMAND, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=ours, stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    os.close(ours)
    os.close(out)
    await say(process, HELLO)
    assert process.stdin is not None
    assert process.stderr is not None
    try:  # stdin stays open: it has to end by itself
        assert await asyncio.wait_for(process.stderr.read(), 20) == b""
        assert await asyncio.wait_for(process.wait(), 10) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process.stdin.close()


async def test_it_ends_at_once_while_a_sidecar_keeps_it_waiting() -> None:
    asked = asyncio.Event()

    async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.set()
        await asyncio.Event().wait()

    async with raw_server(script) as url:
        process = await start(url)
        await say(process, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        await say(process, {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "projects"}})
        await asyncio.wait_for(asked.wait(), 20)
        assert process.stdin is not None
        process.stdin.close()
        assert await ended(process) == (0, b"")


async def test_what_is_no_message_is_no_end() -> None:
    process = await start()
    assert process.stdin is not None
    process.stdin.write(b"GET / HTTP/1.1\n\xff\xfe\n[1,2]\n")
    await say(process, {"jsonrpc": "2.0", "id": 7, "method": "tools/list"})
    while (answer := await hear(process)).get("id") != 7:
        pass
    assert len(answer["result"]["tools"]) == len(TOOLS)
    process.stdin.close()
    assert await ended(process) == (0, b"")


def test_it_imports_nothing_of_the_server() -> None:
    code = (
        "import sys\n"
        "from voicegw_sidecar.mcp import server\n"
        "from voicegw_sidecar.control_client import control_client\n"
        "server.build(control_client('http://127.0.0.1:9', None))\n"
        "print(*sys.modules, sep='\\n')\n"
    )
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT).stdout
    loaded = set(told.splitlines())
    assert "mcp.server.lowlevel" in loaded
    assert not loaded & {"aiohttp", "apsw", "uvloop", "numpy", "yaml", "jinja2", "voice_prices"}
    ours = {
        name for name in loaded if name.startswith("voicegw_sidecar.") and not name.startswith("voicegw_sidecar.mcp")
    }
    assert ours == {"voicegw_sidecar.control_client", "voicegw_sidecar.errors", "voicegw_sidecar.terms"}


async def _asked(client: ControlClient, path: str) -> Any:
    return await asyncio.to_thread(client.ask, "GET", path, also=503)


async def test_the_client_takes_an_answer_only_from_a_sidecar() -> None:
    answers = iter((
        b"HTTP/1.1 503 no\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 503 no\r\nX-VoiceGW-Error: draining\r\nContent-Length: 33\r\n\r\n"
        b'{"error":{"message":"shut down"}}',
        b"HTTP/1.1 302 go\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 ok\r\nContent-Length: 3\r\n\r\n<a>",
    ))  # fmt: skip

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(next(answers))
        await writer.drain()

    async with raw_server(script) as url:
        client = control_client(url, "S3CRET")
        assert "S3CRET" not in repr(client)
        assert await _asked(client, "/ready") == []
        with pytest.raises(SaidNo, match="shut down") as refused:
            await _asked(client, "/ready")
        assert refused.value.reason == "draining"
        with pytest.raises(NoAnswer, match="status 302"):
            await _asked(client, "/ready")
        with pytest.raises(NoAnswer, match="no JSON"):
            await _asked(client, "/ready")

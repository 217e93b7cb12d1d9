"""What an editor says to ``voicegw-sidecar mcp``, for the self-test: a few lines of JSON. Standard library."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

_CLIENT = {"name": "selftest", "version": "1"}
_MESSAGES = (
    ("initialize", 1, {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": _CLIENT}),
    ("notifications/initialized", None, {}),
    ("tools/list", 2, {}),
    ("tools/call", 3, {"name": "health", "arguments": {}}),
)


class Unexpected(Exception):
    """The command said something else, or nothing; the message says what."""


def converse(
    command: list[str], folder: Path, environment: dict[str, str], limit_s: float
) -> tuple[int, dict[str, dict[str, Any]]]:
    """Say each message, wait for its answer if it has one, and close stdin.

    Returns the exit code, and what each method was answered with. Raises `Unexpected` where something else comes, and
    kills the command where it takes too long.
    """
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    limit = threading.Timer(limit_s, _kill, (process,))
    limit.start()
    try:
        answers = {method: found for method, id_, params in _MESSAGES if (found := _ask(process, method, id_, params))}
        process.stdin.close()
        rest = process.stdout.read()
        if rest:
            raise Unexpected(f"mcp: also wrote {rest!r}")
        return process.wait(limit_s), answers
    except OSError as error:
        raise Unexpected(f"mcp: ended before it had answered: {error}") from None
    finally:
        limit.cancel()
        _kill(process)
        process.wait()


def _ask(process: subprocess.Popen[str], method: str, id_: int | None, params: dict[str, Any]) -> dict[str, Any] | None:
    message = {"jsonrpc": "2.0", "method": method, "params": params}
    process.stdin.write(f"{json.dumps(message if id_ is None else {**message, 'id': id_})}\n")
    process.stdin.flush()
    if id_ is None:
        return None
    line = process.stdout.readline()
    try:
        found = json.loads(line)
    except ValueError:
        found = {}
    if found.get("id") != id_ or "result" not in found:
        raise Unexpected(f"mcp: {method} was answered with {line!r}")
    return found["result"]


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)

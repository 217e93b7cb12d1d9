"""The process at the other end of a connection, from the kernel's own table."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest

from voicegw_sidecar.processes import KNOWN_LIMIT, Processes, process_of
from voicegw_sidecar.stitching import Process

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux has the table")

CALLER = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])))
print(connection.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_callers_are_told_apart(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.create_server((host, 0), family=family)  # a connection that nobody accepts is one all the same
    own_port = server.getsockname()[1]
    callers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", CALLER, host, str(own_port), stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    found: dict[int, Process] = {}
    processes = Processes()
    try:
        for caller in callers:
            assert caller.stdout is not None
            port = int(await caller.stdout.readline())
            key = await asyncio.to_thread(process_of, port, own_port, [])
            assert key is not None
            assert key[0] == caller.pid
            for _ in range(2):
                seen = asyncio.Event()

                def tell(process: Process, pid: int = caller.pid, seen: asyncio.Event = seen) -> None:
                    assert found.setdefault(pid, process) is process
                    seen.set()

                processes.find(port, own_port, tell)
                await asyncio.wait_for(seen.wait(), 5)
        assert found[callers[0].pid] is not found[callers[1].pid]
    finally:
        processes.close()
        for caller in callers:
            assert caller.stdin is not None
            caller.stdin.close()
            await caller.wait()
        server.close()


def test_a_connection_of_this_process_is_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        own_port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", own_port)) as connection:
            key = process_of(connection.getsockname()[1], own_port, [])
    assert key is not None
    assert key[0] == os.getpid()


async def test_what_cannot_be_seen_is_not_told() -> None:
    assert await asyncio.to_thread(process_of, 1, 2, [os.getpid()]) is None
    processes = Processes()
    told: list[Process | None] = []
    processes.find(1, 2, told.append)
    while processes._waiting:
        await asyncio.sleep(0.01)
    assert told == [None]
    processes._waiting = KNOWN_LIMIT
    processes.find(1, 2, told.append)
    assert told == [None, None]
    assert processes._waiting == KNOWN_LIMIT, "beyond the limit nothing is looked up"
    processes.close()

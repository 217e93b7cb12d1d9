"""Many calls at once, calls that are given up, and lines that are no messages: the server goes on hearing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.mcp.test_server import HELLO, NOWHERE, ended, hear, say, start
from tests.sidecar import raw_server, read_request
from voicegw_sidecar.mcp.calls import RUNNING_MOST, THREADS_MOST, WAITING_MOST, Busy, Calls, OutOfTime
from voicegw_sidecar.mcp.tool import Answer

FULL = RUNNING_MOST + WAITING_MOST
READY = {"jsonrpc": "2.0", "method": "notifications/initialized"}
DONE = Answer("done", {})


def call(id_: int, name: str = "costs", **arguments: Any) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": id_, "method": "tools/call", "params": params}


def cancel(id_: int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id_}}


async def pinged(process: asyncio.subprocess.Process, id_: int) -> None:
    await say(process, {"jsonrpc": "2.0", "id": id_, "method": "ping"})
    assert await hear(process) == {"jsonrpc": "2.0", "id": id_, "result": {}}


async def test_however_many_wait_it_hears_and_ends() -> None:
    asked = asyncio.Semaphore(0)

    async def script(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.release()
        await asyncio.Event().wait()

    async with raw_server(script) as url, asyncio.timeout(60):
        process = await start(url)
        await say(process, READY)
        for id_ in range(FULL + 20):
            await say(process, call(id_))
        refused = [await hear(process) for _ in range(20)]
        assert {one["id"] for one in refused} == set(range(FULL, FULL + 20))
        told = {one["result"]["content"][0]["text"] for one in refused if one["result"]["isError"]}
        assert told == {
            "16 calls are running and 64 are waiting, which is the limit; nothing was done, call again later"
        }
        for _ in range(RUNNING_MOST):
            await asked.acquire()
        await pinged(process, 1000)

        await say(process, cancel(FULL - 1))  # a waiting one: there is room for one more, and not for two
        await pinged(process, 1001)
        await say(process, call(2000))
        await say(process, call(2001))
        assert (await hear(process))["id"] == 2001
        await say(process, cancel(0))  # a running one: the next is begun
        await asked.acquire()
        assert process.stdin is not None
        process.stdin.close()
        assert await ended(process) == (0, b"")


class Work:
    """Calls that go on until they are told to end."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.end = threading.Event()

    def __call__(self) -> Answer:
        self.begun.release()
        self.end.wait(30)
        return DONE


@pytest.fixture
def work() -> Iterator[Work]:
    found = Work()
    yield found
    found.end.set()


async def test_a_call_that_takes_too_long_was_begun_and_one_that_waits_in_vain_was_not(work: Work) -> None:
    calls = Calls()
    with pytest.raises(OutOfTime, match="no answer of the sidecar within 1 s"):
        await calls.run(work, limit_s=1)
    running = [asyncio.create_task(calls.run(work)) for _ in range(RUNNING_MOST)]
    for _ in range(RUNNING_MOST + 1):
        await asyncio.to_thread(work.begun.acquire)
    with pytest.raises(Busy, match=r"no place for 0\.05 s; nothing was done"):
        await calls.run(work, limit_s=0.05)
    assert not work.begun.acquire(blocking=False)
    work.end.set()
    assert await asyncio.gather(*running) == [DONE] * RUNNING_MOST


async def test_calls_that_were_given_up_are_bounded_too(work: Work) -> None:
    calls = Calls()
    for _ in range(THREADS_MOST):
        given_up = asyncio.create_task(calls.run(work))
        await asyncio.to_thread(work.begun.acquire)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
    with pytest.raises(Busy, match="given up still wait"):
        await calls.run(work)
    work.end.set()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"GET / HTTP/1.1", -32700), (b'{"jsonrpc":"2.0","id":3,"method":"x","params":{"a":"\\ud800"}}', -32700),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, -32700), (b"\xff\xfe", -32700),
        (b'{"jsonrpc":"2.0","id":3,"method":"x","params":{"a":' + b"9" * 5000 + b"}}", -32700),
        (b"[1,2]", -32600), (b'"S3CRET"', -32600), (b'{"jsonrpc":"1.0","id":2,"method":"ping"}', -32600),
    ],
    ids=str,
)  # fmt: skip
async def test_a_line_that_is_no_message_is_answered(line: bytes, code: int) -> None:
    process = await start()
    assert process.stdin is not None
    process.stdin.write(b"\n  \n" + line + b"\n")
    answer = await hear(process)
    assert (answer["jsonrpc"], answer["id"], answer["error"]["code"]) == ("2.0", None, code)
    assert "S3CRET" not in str(answer)
    await pinged(process, 9)
    process.stdin.close()
    assert await ended(process) == (0, b"")


async def test_it_is_answered_before_the_first_message_as_well() -> None:
    process = await start()
    assert process.stdin is not None
    process.stdin.write(b"nonsense\n")
    assert (await hear(process))["error"]["code"] == -32700
    await say(process, {**HELLO, "id": 5})
    assert (await hear(process))["id"] == 5
    process.stdin.close()
    assert await ended(process) == (0, b"")


@pytest.mark.parametrize("number", [b"1e999", b"-1e999", b"NaN", b"Infinity"])
async def test_a_budget_that_is_no_number_is_not_taken_for_unlimited(number: bytes) -> None:
    process = await start(NOWHERE)
    await say(process, READY)
    assert process.stdin is not None
    for id_, confirm in ((2, b"false"), (3, b"true")):
        process.stdin.write(
            b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"update_project","arguments":'
            b'{"project":"acme","confirm":%s,"daily_budget":%s}}}\n' % (id_, confirm, number)
        )
        result = (await hear(process))["result"]
        assert result["isError"]
        assert "daily_budget: found" in result["content"][0]["text"]
        assert "expected a number; nothing was done" in result["content"][0]["text"]
    process.stdin.close()
    assert await ended(process) == (0, b"")

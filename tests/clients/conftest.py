"""The bench of client tests: client, tee, sidecar, tee, simulator; and what must hold on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from msgspec import Struct

from tests.conftest import StartSidecar
from tests.sidecar import Sidecar
from tests.simulator.conftest import quick
from tests.tee import Message, Seen, Tee, tee
from voicegw_sidecar.simulator import Simulator
from voicegw_sidecar.simulator.routes import PROVIDERS

# What the contract lets the sidecar add, drop or set anew, by lower-case header name.
REQUEST_MAY_LOSE = {"x-livekit-room-id", "x-livekit-job-id", "te", "keep-alive", "connection", "expect"}
REQUEST_MAY_CHANGE = {"host", "connection", "accept-encoding", "content-length", "sec-websocket-key",
                      "sec-websocket-version", "sec-websocket-extensions", "transfer-encoding", "upgrade"}  # fmt: skip
ANSWER_MAY_GAIN = {"x-voicegw-project", "x-voicegw-session", "x-voicegw-exchange"}
ANSWER_MAY_CHANGE = {
    "connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "sec-websocket-accept",
    "upgrade",
}


class Bench(Struct):
    """``bases`` gives a client its base URL by provider: through the sidecar, for project acme."""

    sidecar: Sidecar
    simulator: Simulator
    near: Tee
    far: Tee
    bases: dict[str, str]

    async def check_wire(self, *, agent_left: bool = False, within_s: float = 2.0) -> None:
        """Every exchange is the same on both sides of the sidecar but for the closed list.

        Where the agent left first, the provider may have said more than the agent stayed to hear.
        """
        deadline = asyncio.get_running_loop().time() + within_s
        while True:
            try:
                self._compare(agent_left=agent_left)
                return
            except AssertionError:  # closes and last words may still be under way
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(0.05)

    def _compare(self, *, agent_left: bool) -> None:
        near = sorted(self.near.seen(), key=_kind)
        far = sorted(self.far.seen(), key=_kind)
        assert len(near) == len(far) > 0
        for before, behind in zip(near, far, strict=True):
            if agent_left:
                behind.received = behind.received[: len(before.received)]
            _check_exchange(before, behind)


StartBench = Callable[[], Awaitable[Bench]]


@pytest.fixture
async def bench(start_sidecar: StartSidecar) -> AsyncIterator[Bench]:
    """A running bench."""
    async with open_bench(start_sidecar) as running:
        yield running


@asynccontextmanager
async def open_bench(start_sidecar: StartSidecar, more: str = "") -> AsyncIterator[Bench]:
    async with Simulator(quick()) as simulator, tee(simulator.base_url("openai")) as far:
        bases = {name: f"{far.url}/{name}" for name in PROVIDERS}
        async with start_sidecar("projects: {acme: {}}\n" + more, **bases) as sidecar, tee(sidecar.url) as near:
            clients = {name: f"{near.url}/p/acme/{name}" for name in bases}
            yield Bench(sidecar, simulator, near, far, clients)


def _kind(seen: Seen) -> str:
    target = seen.request.line.split(" ")[1]
    return target.removeprefix("/p/acme").partition("?")[0]


def _check_exchange(before: Seen, behind: Seen) -> None:
    method, target, version = before.request.line.split(" ")
    assert behind.request.line == f"{method} {target.removeprefix('/p/acme')} {version}"
    _check_headers(before.request, behind.request, may_lose=REQUEST_MAY_LOSE, may_change=REQUEST_MAY_CHANGE)
    assert behind.answer.line == before.answer.line
    gained = before.answer.names() - behind.answer.names()
    assert gained <= ANSWER_MAY_GAIN | ANSWER_MAY_CHANGE, gained
    _check_headers(behind.answer, before.answer, may_change=ANSWER_MAY_CHANGE, may_gain=ANSWER_MAY_GAIN)
    assert before.sent == behind.sent
    assert before.received == behind.received
    if b'"stream_options":{"include_usage":true},' in behind.request.body != before.request.body:
        assert behind.request.body.replace(b'"stream_options":{"include_usage":true},', b"", 1) == before.request.body
        dropped = [event for event in behind.answer.body.split(b"\n\n") if b'"choices":[],"usage"' in event]
        assert len(dropped) == 1
        assert behind.answer.body.replace(dropped[0] + b"\n\n", b"") == before.answer.body
    else:
        assert before.request.body == behind.request.body
        assert before.answer.body == behind.answer.body


def _check_headers(
    source: Message,
    result: Message,
    *,
    may_change: set[str],
    may_lose: set[str] = frozenset(),
    may_gain: set[str] = frozenset(),  # type: ignore[assignment]
) -> None:
    unchanged = [pair for pair in source.headers if pair[0].lower() not in may_change | may_lose]
    arrived = [pair for pair in result.headers if pair[0].lower() not in may_change | may_gain]
    assert arrived == unchanged

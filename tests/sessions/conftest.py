"""A sidecar in front of the scene's providers, for agents that know nothing but base URLs."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from msgspec import Struct

from tests.conftest import StartSidecar
from tests.sessions.scene import script, speech
from tests.sidecar import Sidecar
from voicegw_sidecar.simulator import Simulator


class Stage(Struct):
    """``base`` is where an agent finds its providers, for project acme; ``sounds`` is what is said to it."""

    sidecar: Sidecar
    simulator: Simulator
    base: str
    sounds: dict[str, bytes]


OpenStage = Callable[[str], AbstractAsyncContextManager[Stage]]


@pytest.fixture
def open_stage(start_sidecar: StartSidecar) -> OpenStage:
    """A function that opens a stage, given more lines for the configuration."""

    @asynccontextmanager
    async def opened(more: str) -> AsyncIterator[Stage]:
        sounds = speech()
        async with Simulator(script()) as simulator:
            bases = {name: simulator.base_url(name) for name in ("deepgram", "openai", "cartesia")}
            async with start_sidecar(f"projects: {{acme: {{}}}}\n{more}", **bases) as sidecar:
                yield Stage(sidecar, simulator, f"{sidecar.url}/p/acme", sounds)

    return opened


@pytest.fixture(autouse=True)
def no_socket_is_left() -> Iterator[None]:
    """Agents leave some of their sockets to the garbage collector: it comes here, not in the next test."""
    yield
    gc.collect()

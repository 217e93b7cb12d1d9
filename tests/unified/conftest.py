"""A sidecar whose providers are all simulated and have keys: what the unified endpoints stand on."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from msgspec import Struct
from openai import AsyncOpenAI

from tests.conftest import StartSidecar
from tests.sidecar import Sidecar
from tests.simulator.conftest import quick
from voicegw_sidecar.simulator import Script, Simulator
from voicegw_sidecar.simulator.routes import PROVIDERS

LOCAL = ("ollama", "whisper", "kokoro", "piper")
NOBODY = "http://127.0.0.1:9"


class Setup(Struct):
    """A running sidecar and the providers behind it."""

    sidecar: Sidecar
    simulator: Simulator

    def openai(self, prefix: str = "/p/acme", **headers: str) -> AsyncOpenAI:
        """The real SDK, at the unified endpoints."""
        base_url = f"{self.sidecar.url}{prefix}/v1"
        return AsyncOpenAI(api_key="sk-agent", base_url=base_url, max_retries=0, default_headers=headers)


StartUnified = Callable[..., AbstractAsyncContextManager[Setup]]


@pytest.fixture
def start_unified(start_sidecar: StartSidecar) -> StartUnified:
    """A function that starts one: ``more`` are lines of project acme, ``top`` further lines of the file.

    Nobody listens at the addresses of the providers that are ``down``.
    """

    @asynccontextmanager
    async def start(
        more: str = "", top: str = "", script: Script | None = None, without_key: tuple[str, ...] = (),
        down: tuple[str, ...] = (), **options: str,
    ) -> AsyncIterator[Setup]:  # fmt: skip
        async with Simulator(script or quick()) as simulator:
            lines = ["projects:", "  acme:", *(f"    {line}" for line in more.splitlines() if line), "providers:"]
            for name in PROVIDERS:
                key = "" if name in LOCAL or name in without_key else f", api_key: key-of-{name}"
                address = NOBODY if name in down else simulator.base_url(name)
                lines.append(f"  {name}: {{base_url: '{address}'{key}}}")
            if not more:
                lines[1] = "  acme: {}"
            async with start_sidecar("\n".join(lines) + "\n" + top, **options) as sidecar:
                yield Setup(sidecar, simulator)

    return start


@pytest.fixture
async def unified(start_unified: StartUnified) -> AsyncIterator[Setup]:
    """A running one with rosters."""
    async with start_unified("routing: {rosters: {stt: [deepgram, assemblyai], llm: [groq, openai], "
                             "tts: [cartesia, elevenlabs]}}") as running:  # fmt: skip
        yield running


@pytest.fixture(scope="package", autouse=True)
def what_was_imported_stays() -> Iterator[None]:
    """The garbage collector need not look at it again after every test."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def no_socket_is_left() -> Iterator[None]:
    """Agents leave some of their sockets to the garbage collector: it comes here, not in the next test."""
    yield
    gc.collect()

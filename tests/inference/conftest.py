"""A sidecar with two projects before simulated providers, and an environment that points `inference` at it."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import copy_context

import pytest
from livekit.agents.utils import http_context
from msgspec import Struct

from tests.conftest import StartSidecar
from tests.sidecar import Sidecar
from tests.simulator.conftest import quick
from voicegw_sidecar import inference
from voicegw_sidecar.inference import autostart
from voicegw_sidecar.simulator import Simulator
from voicegw_sidecar.simulator.routes import PROVIDERS

VARIABLES = (
    "VOICEGW_URL", "VOICEGW_PROJECT", "VOICEGW_AUTOSTART", "VOICEGW_AGENT_KEY", "VOICEGW_API_KEY", "OPENAI_API_KEY",
    "OPENAI_BASE_URL", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "GROQ_API_KEY", "GROQ_BASE_URL", "DEEPGRAM_API_KEY",
    "ASSEMBLYAI_API_KEY", "CARTESIA_API_KEY", "ELEVEN_API_KEY",
)  # fmt: skip
PROJECTS = "projects: {prod: {}, staging: {}}\n"


class Place(Struct):
    """Where `inference` finds itself."""

    sidecar: Sidecar
    simulator: Simulator


OpenPlace = Callable[..., AbstractAsyncContextManager[Place]]


@pytest.fixture(autouse=True)
def a_context_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable of this machine is seen, and what a test sets is gone after it."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    autostart._found.clear()
    yield
    assert copy_context().get(inference.scope._project) is None


@pytest.fixture
def open_place(start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenPlace]:
    """A function that starts a sidecar with this configuration and points the environment at it."""

    @asynccontextmanager
    async def opened(more: str = PROJECTS, environ: dict[str, str] | None = None) -> AsyncIterator[Place]:
        async with Simulator(quick()) as simulator, http_context.open():
            bases = {name: simulator.base_url(name) for name in PROVIDERS}
            async with start_sidecar(more, environ, **bases) as sidecar:
                monkeypatch.setenv("VOICEGW_URL", sidecar.url)
                yield Place(sidecar, simulator)

    yield opened
    gc.collect()  # clients leave some of their sockets to it

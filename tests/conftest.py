"""Shared fixtures: a real sidecar on a free port, its configuration, and scripted upstream sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from blockbuster import blockbuster_ctx
from pytest_aiohttp.plugin import AiohttpClient

from tests.sidecar import Sidecar
from voicegw_sidecar import tasks
from voicegw_sidecar.app import build_app, build_runtime
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.serve import running
from voicegw_sidecar.settings import load_settings

Client = TestClient[web.Request, web.Application]
MountControlPlane = Callable[..., Awaitable[Client]]
ON_THE_PATH = (
    "relay", "intercept", "observation", "attribution", "stitching", "sessions", "recorder", "api", "web", "addressing",
    "credentials", "meter", "routing", "picks", "guard", "operating", "shares", "sign_ins",
)  # fmt: skip
StartSidecar = Callable[..., AbstractAsyncContextManager[Sidecar]]


@pytest.fixture
def start_sidecar(tmp_path: Path) -> StartSidecar:
    """A function that starts a sidecar: ``async with start_sidecar(openai="http://…", more="yaml")``."""

    @asynccontextmanager
    async def start(
        more: str = "", environ: dict[str, str] | None = None, unpriced: str = "warn", clock: Clock | None = None,
        **base_urls: str,
    ) -> AsyncIterator[Sidecar]:  # fmt: skip
        database = tmp_path / "voicegw.db"
        lines = [f"cost_tracking: {{db_path: {database}, unpriced: {unpriced}}}"]
        if "serve:" not in more:
            lines.append("serve: {port: 0}")
        if base_urls:
            lines.append("providers:")
            lines += [f"  {name}: {{base_url: '{url}'}}" for name, url in base_urls.items()]
        config = tmp_path / "voicegw.yaml"
        config.write_text("\n".join(lines) + "\n" + more)
        loaded = load_settings(str(config), environ or {})
        async with running(loaded, clock) as sidecar, aiohttp.ClientSession() as http:
            yield Sidecar(sidecar, http, config)

    return start


@pytest.fixture
async def control_plane(
    tmp_path: Path, aiohttp_client: AiohttpClient
) -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    """A function that mounts the whole application on a test server: for tests that need no provider."""
    mounted: list[tuple[Client, Runtime]] = []

    async def mount(more: str = "", environ: dict[str, str] | None = None) -> Client:
        config = tmp_path / "voicegw.yaml"
        config.write_text(f"cost_tracking: {{db_path: {tmp_path / 'voicegw.db'}}}\n{more}")
        runtime = await asyncio.to_thread(build_runtime, load_settings(str(config), environ or {}))
        runtime.is_ready = True
        client = await aiohttp_client(await asyncio.to_thread(build_app, runtime))
        mounted.append((client, runtime))
        return client

    yield mount
    for client, runtime in mounted:
        await client.close()  # what the application ends with is written to the store
        await runtime.store.close()


@pytest.fixture(autouse=True)
def no_task_is_left() -> object:
    """Every task that the sidecar started has ended when its test has."""
    yield
    assert tasks.alive() == []


@pytest.fixture(autouse=True)
def nothing_blocks_the_loop() -> Iterator[None]:
    """Fail a test in which what runs on a call's path blocks the event loop."""
    with blockbuster_ctx([f"voicegw_sidecar.{name}" for name in ON_THE_PATH]):
        yield

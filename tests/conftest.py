"""Shared fixtures: a real sidecar on a free port, its configuration, and scripted upstream sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from blockbuster import blockbuster_ctx

from tests.sidecar import Sidecar
from voicegw_sidecar import tasks
from voicegw_sidecar.serve import running
from voicegw_sidecar.settings import load_settings

StartSidecar = Callable[..., AbstractAsyncContextManager[Sidecar]]


@pytest.fixture
def start_sidecar(tmp_path: Path) -> StartSidecar:
    """A function that starts a sidecar: ``async with start_sidecar(openai="http://…", more="yaml")``."""

    @asynccontextmanager
    async def start(more: str = "", environ: dict[str, str] | None = None, **base_urls: str) -> AsyncIterator[Sidecar]:
        lines = [f"cost_tracking: {{db_path: {tmp_path / 'voicegw.db'}}}", "serve: {port: 0}"]
        if base_urls:
            lines.append("providers:")
            lines += [f"  {name}: {{base_url: '{url}'}}" for name, url in base_urls.items()]
        config = tmp_path / "voicegw.yaml"
        config.write_text("\n".join(lines) + "\n" + more)
        loaded = load_settings(str(config), environ or {})
        async with running(loaded) as sidecar, aiohttp.ClientSession() as http:
            yield Sidecar(sidecar, http, config)

    return start


@pytest.fixture(autouse=True)
def no_task_is_left() -> object:
    """Every task that the sidecar started has ended when its test has."""
    yield
    assert tasks.alive() == []


@pytest.fixture
def nothing_blocks_the_loop() -> object:
    """Fail a test in which the event loop is blocked."""
    with blockbuster_ctx("voicegw_sidecar") as blocker:
        yield blocker


Served = Callable[[aiohttp.web.Request], Awaitable[aiohttp.web.StreamResponse]]

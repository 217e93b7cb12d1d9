"""The sidecar that client cases are played through: in this process, or a program such as the executable.

Both begin with a database in which some projects have spent their budgets, and both tell rows from the database.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import yaml

from voicegw_sidecar.clock import SystemClock
from voicegw_sidecar.ledger.calendar import day_of
from voicegw_sidecar.serve import Running, running
from voicegw_sidecar.settings import load_settings
from voicegw_sidecar.store.database import open_store, read_once
from voicegw_sidecar.store.queries.exchanges import Filter, exchanges
from voicegw_sidecar.store.records import ADD_TO_DAY, ExchangeRow
from voicegw_sidecar.terms import Cost, CostSource

START_LIMIT_S = 30.0


class Through:
    """A running sidecar; ``program`` None runs it in this process."""

    def __init__(self, folder: Path, projects: dict[str, Any], spent: Sequence[str], program: str | None) -> None:
        self.url = ""
        self._folder = folder
        self._projects = projects
        self._spent = spent
        self._program = program
        self._database = folder / "voicegw.db"
        self._running: Running | None = None
        self._stop = asyncio.Event()
        self._over: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Through:
        await self._spend()
        config = self._folder / "voicegw.yaml"
        config.write_text(yaml.safe_dump({
            "cost_tracking": {"db_path": str(self._database)}, "serve": {"port": 0}, "projects": self._projects,
        }))  # fmt: skip
        if self._program is None:
            has_begun = asyncio.Event()
            self._over = asyncio.ensure_future(self._run(config, has_begun))
            await asyncio.wait((self._over, begun := asyncio.ensure_future(has_begun.wait())),
                               return_when=asyncio.FIRST_COMPLETED)  # fmt: skip
            begun.cancel()
            if self._over.done():
                await self._over
        else:
            await self._start(config)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._over is not None:
            self._stop.set()
            await self._over
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGINT)  # the clients are through; one that keeps a connection is not
            await asyncio.wait_for(self._process.wait(), START_LIMIT_S)

    async def rows(self, project: str) -> list[ExchangeRow]:
        """Return a project's closed rows, oldest first, once nothing of it is open any more."""

        def read(status: str | None, limit: int) -> list[ExchangeRow]:
            return read_once(self._database, exchanges, Filter(project=project, status=status, limit=limit)).rows

        async with asyncio.timeout(15):
            while await asyncio.to_thread(read, "open", 1):
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.05)
            if self._running is not None:
                await self._running.runtime.store.committed()  # on a busy machine a row may take longer than that
            else:
                await asyncio.sleep(0.5)
        return (await asyncio.to_thread(read, None, 100))[::-1]

    async def _spend(self) -> None:
        """Let projects have spent a billionth of a dollar today."""
        now_ns = SystemClock.wall_ns()
        store = await asyncio.to_thread(open_store, self._database, UTC, now_ns, lambda row: Cost(0, CostSource.NONE))
        day = day_of(now_ns, UTC)
        await store.committed(*((ADD_TO_DAY, (one, day, "llm", "earlier", "", 1, 1, 0)) for one in self._spent))
        await store.close()

    async def _run(self, config: Path, has_begun: asyncio.Event) -> None:
        async with running(load_settings(str(config), {})) as self._running:
            self.url = self._running.addresses[0]
            has_begun.set()
            await self._stop.wait()

    async def _start(self, config: Path) -> None:
        assert self._program is not None
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VOICEGW")}
        self._process = await asyncio.create_subprocess_exec(
            self._program, "serve", "--config", str(config), stdout=asyncio.subprocess.PIPE, env=environment
        )
        assert self._process.stdout is not None
        line = await asyncio.wait_for(self._process.stdout.readline(), START_LIMIT_S)
        self.url = line.decode().split()[-1]

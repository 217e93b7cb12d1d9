"""Plays client cases: each directly and through one sidecar, well, under each fault, and against a spent budget.

Everything of a client runs at once, each run against a simulator of its own, so that waiting for retries costs
its time once. What came of it is kept for the tests to compare.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from msgspec import Struct

from tests.clients.case import Case, Fault, faults_of
from tests.sidecar import Sidecar
from tests.simulator.conftest import quick
from voicegw_sidecar.serve import running
from voicegw_sidecar.settings import load_settings
from voicegw_sidecar.simulator import Simulator
from voicegw_sidecar.store.records import ExchangeRow

AT_ONCE = 12
LIMIT_S = 30.0
WELL, SPENT = "well", "spent"


class Outcome(Struct, frozen=True):
    """What a client's user saw: a value, or an exception by class and, where it has one, status."""

    value: object = None
    error: str = ""
    status: object = None
    message: str = ""
    attempts: int = 0

    @property
    def kind(self) -> tuple[str, object]:
        """What must be the same directly and through the sidecar."""
        return self.error, self.status


class Played(Struct, frozen=True):
    """One case under one fault; ``direct`` is None for a spent budget, which there is only in the sidecar."""

    direct: Outcome | None
    relayed: Outcome
    rows: list[ExchangeRow]


Results = dict[tuple[str, str], Played]


def play(cases: Iterable[Case]) -> Results:
    """Play every case under everything; keyed by the case's name and the fault's."""
    return asyncio.run(_play(list(cases)))


async def _play(cases: list[Case]) -> Results:
    jobs = [(case, fault) for case in cases for fault in (None, *faults_of(case))]
    gate = asyncio.Semaphore(AT_ONCE)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cases-")))
        near: dict[str, Simulator] = {}
        projects: dict[str, Any] = {}
        for case, fault in jobs:
            name = _project(case, fault)
            simulator = near[name] = await stack.enter_async_context(_simulator(case, fault))
            projects[name] = {"providers": {case.provider: {"base_url": simulator.base_url(case.provider)}}}
        for case in cases:
            projects[_spent(case)] = {"daily_budget": 0.000000001, "budget_action": "block"}
        sidecar = await stack.enter_async_context(_sidecar(folder, projects))
        for case in cases:
            await _spend(sidecar, _spent(case))

        async def one(case: Case, fault: Fault | None) -> tuple[tuple[str, str], Played]:
            async with gate:
                name = _project(case, fault)
                relayed = await _run(case, f"{sidecar.url}/p/{name}/{case.provider}", near[name])
                async with _simulator(case, fault) as far:
                    direct = await _run(case, far.base_url(case.provider), far)
                rows = await _rows(sidecar, name)
                return (case.name, fault.name if fault else WELL), Played(direct, relayed, rows)

        async def refused(case: Case) -> tuple[tuple[str, str], Played]:
            async with gate:
                outcome = await _run(case, f"{sidecar.url}/p/{_spent(case)}/{case.provider}", None)
                rows = [row for row in await _rows(sidecar, _spent(case)) if row.model != _SPENDER]
                return (case.name, SPENT), Played(None, outcome, rows)

        found = await asyncio.gather(*(one(*job) for job in jobs), *(refused(case) for case in cases))
        return dict(found)


def _project(case: Case, fault: Fault | None) -> str:
    return f"{case.name[:50]}-{fault.name if fault else WELL}"


def _spent(case: Case) -> str:
    return f"{case.name[:50]}-{SPENT}"


def _simulator(case: Case, fault: Fault | None) -> Simulator:
    simulator = Simulator(quick())
    if fault is not None:
        simulator.fail_next(case.endpoint, fault.failure, fault.count)
    return simulator


_SPENDER = "spender"


async def _spend(sidecar: Sidecar, project: str) -> None:
    """Let a project have spent its budget, as a call would have."""
    budgets = sidecar.running.runtime.budgets
    budgets._spend.add(project, budgets._spend.today(budgets._clock.wall_ns()), 1)


class _sidecar:
    """A sidecar with these projects."""

    def __init__(self, folder: Path, projects: dict[str, Any]) -> None:
        self._folder = folder
        self._projects = projects
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Sidecar:
        config = self._folder / "voicegw.yaml"
        settings = {
            "cost_tracking": {"db_path": str(self._folder / "voicegw.db")},
            "serve": {"port": 0},
            "projects": self._projects,
        }
        config.write_text(yaml.safe_dump(settings))
        sidecar = await self._stack.enter_async_context(running(load_settings(str(config), {})))
        http = await self._stack.enter_async_context(aiohttp.ClientSession())
        return Sidecar(sidecar, http, config)

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()


async def _run(case: Case, base: str, simulator: Simulator | None) -> Outcome:
    value, error, status, message = None, "", None, ""
    try:
        async with asyncio.timeout(LIMIT_S):
            value = await case.run(base)
    except Exception as caught:  # whatever a client raises is what is compared
        error, message = type(caught).__name__, str(caught)
        status = getattr(caught, "status_code", None) or getattr(caught, "code", None)
    attempts = len(simulator.ledger.entries(case.endpoint, key="")) if simulator is not None else 0
    return Outcome(value, error, status, message, attempts)


async def _rows(sidecar: Sidecar, project: str) -> list[ExchangeRow]:
    """Return a project's closed rows once nothing of it is open any more."""
    from voicegw_sidecar.store.queries.exchanges import Filter, exchanges

    store = sidecar.running.runtime.store
    async with asyncio.timeout(15):
        while (await store.read(exchanges, Filter(project=project, status="open", limit=1))).rows:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)
    return (await store.read(exchanges, Filter(project=project, limit=100))).rows[::-1]

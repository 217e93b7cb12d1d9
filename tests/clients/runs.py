"""Plays client cases: each directly and through one sidecar, well, under each fault, and against a spent budget.

Everything of a client runs at once, each run against a simulator of its own, so that waiting for retries costs
its time once. It runs in a process of its own: what clients leave behind (sockets for the garbage collector,
warnings of their libraries) is theirs. ``python -m tests.clients.runs MODULE`` prints what came of it as JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yaml
from msgspec import Struct

from tests.clients.case import Case, Fault, faults_of
from tests.sidecar import Sidecar
from tests.simulator.conftest import quick
from voicegw_sidecar.serve import running
from voicegw_sidecar.settings import load_settings
from voicegw_sidecar.simulator import FailureKind, Simulator
from voicegw_sidecar.simulator.ledger import Entry
from voicegw_sidecar.store.queries.exchanges import Filter, exchanges
from voicegw_sidecar.store.records import ExchangeRow

AT_ONCE = 12
PATIENT_S = 40.0
"""What a run may take that ends by itself, however busy the machine is."""
WELL, SPENT = "well", "spent"
SOCKET = "WebSocket"


class Outcome(Struct, frozen=True):
    """What a client's user saw: a value, or an exception by class and, where it has one, status."""

    value: object = None
    error: str = ""
    status: int | str | None = None
    message: str = ""
    attempts: int = 0
    address: str = ""
    """Method, or `SOCKET`, and path of the first attempt as it reached the provider."""

    @property
    def kind(self) -> tuple[str, object]:
        """What must be the same directly and through the sidecar."""
        return self.error, self.status


class Played(Struct, frozen=True):
    """One case under one fault; ``direct`` is None for a spent budget, which there is only in the sidecar."""

    case: str
    fault: str
    direct: Outcome | None
    relayed: Outcome
    rows: list[ExchangeRow]


def play(module: str) -> list[Played]:
    """Play every case of a module of ``tests.clients.cases`` under everything, in a process of its own."""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.clients.runs", module], check=True, stdout=subprocess.PIPE
    )
    return msgspec.json.decode(found.stdout, type=list[Played])


async def _play(cases: list[Case]) -> list[Played]:
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
            providers = projects[_project(case, None)]["providers"]
            projects[_spent(case)] = {"daily_budget": 1e-9, "budget_action": "block", "providers": providers}
        sidecar = await stack.enter_async_context(_sidecar(folder, projects))
        for case in cases:
            await _spend(sidecar, _spent(case))

        async def one(case: Case, fault: Fault | None) -> Played:
            async with gate:
                name = _project(case, fault)
                base = f"{sidecar.url}/p/{name}/{case.provider}"
                relayed, direct = await asyncio.gather(
                    _run(case, base, near[name], _limit_s(case, fault)), directly(case, fault)
                )
                return Played(case.name, fault.name if fault else WELL, direct, relayed, await _rows(sidecar, name))

        async def directly(case: Case, fault: Fault | None) -> Outcome:
            for _ in range(2):  # Pipecat's services have been seen never to begin to connect, once in 200 runs
                async with _simulator(case, fault) as far:
                    outcome = await _run(case, far.base_url(case.provider), far, _limit_s(case, fault))
                if outcome.attempts:
                    break
            return outcome

        async def refused(case: Case) -> Played:
            async with gate:
                base = f"{sidecar.url}/p/{_spent(case)}/{case.provider}"
                outcome = await _run(case, base, None, PATIENT_S)
                return Played(case.name, SPENT, None, outcome, await _rows(sidecar, _spent(case)))

        return await asyncio.gather(*(one(*job) for job in jobs), *(refused(case) for case in cases))


def _project(case: Case, fault: Fault | None) -> str:
    return f"{case.name[:50]}-{fault.name if fault else WELL}"


def _spent(case: Case) -> str:
    return f"{case.name[:50]}-{SPENT}"


def _simulator(case: Case, fault: Fault | None) -> Simulator:
    simulator = Simulator(quick())
    if fault is not None:
        simulator.fail_next(case.endpoint, fault.failure, fault.count)
    return simulator


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


def _limit_s(case: Case, fault: Fault | None) -> float:
    """Return how long a run may take: short only where clients are known to wait for ever."""
    if fault is None or fault.failure.kind is FailureKind.STATUS:
        return PATIENT_S
    if fault.failure.kind is FailureKind.HANG and not case.is_socket:
        return case.limit_s * 2  # its own time limit, several times over
    return case.limit_s


async def _run(case: Case, base: str, simulator: Simulator | None, limit_s: float) -> Outcome:
    value, error, status, message = None, "", None, ""
    try:
        async with asyncio.timeout(limit_s):
            value = await case.run(base)
    except Exception as caught:  # whatever a client raises is what is compared
        error, message = type(caught).__name__, str(caught)
        status = getattr(caught, "status_code", None) or getattr(caught, "code", None)
        status = status if isinstance(status, str) or status is None else int(status)
    attempts = simulator.ledger.entries(case.endpoint, key="") if simulator is not None else []
    return Outcome(value, error, status, message, len(attempts), _address(case, attempts[0]) if attempts else "")


def _address(case: Case, attempt: Entry) -> str:
    method, target, _ = attempt.request_line.split(" ")
    return f"{SOCKET if case.is_socket else method} {target.partition('?')[0]}"


async def _rows(sidecar: Sidecar, project: str) -> list[ExchangeRow]:
    """Return a project's closed rows once nothing of it is open any more."""
    store = sidecar.running.runtime.store
    async with asyncio.timeout(15):
        while (await store.read(exchanges, Filter(project=project, status="open", limit=1))).rows:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)
        await store.committed()  # on a busy machine a row may take longer than that
    return (await store.read(exchanges, Filter(project=project, limit=100))).rows[::-1]


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    played = asyncio.run(_play(list(importlib.import_module(sys.argv[1]).CASES)))
    sys.stdout.buffer.write(msgspec.json.encode(played))

"""Plays client cases: each directly and through one sidecar, well, under each fault, and against a spent budget.

Everything of a client runs at once, each run against a simulator of its own, so that waiting for retries costs
its time once. It runs in a process of its own: what clients leave behind (sockets for the garbage collector,
warnings of their libraries) is theirs. ``python -m tests.clients.runs MODULE`` prints what came of it as JSON; with
``PROGRAM CASE…`` after it, only these cases are played, without faults, through that program.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from tests.clients.case import Case, Fault, faults_of
from tests.clients.through import Through
from tests.simulator.conftest import quick
from voicegw_sidecar.inference import translate
from voicegw_sidecar.simulator import FailureKind, Simulator
from voicegw_sidecar.simulator.ledger import Entry
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
    translated: str = ""
    """What `inference.translate` makes of the exception: a class of its own, or nothing."""
    attempts: int = 0
    address: str = ""
    """Method, or `SOCKET`, and path of the first attempt as it reached the provider."""

    @property
    def kind(self) -> tuple[str, object]:
        """What must be the same directly and through the sidecar."""
        return self.error, self.status

    def is_like(self, other: Outcome) -> bool:
        """Say whether a client's user saw the same."""
        return (self.kind, self.value, self.attempts) == (other.kind, other.value, other.attempts)


class Played(Struct, frozen=True):
    """One case under one fault; ``direct`` is None for a spent budget, which there is only in the sidecar."""

    case: str
    fault: str
    direct: Outcome | None
    relayed: Outcome
    rows: list[ExchangeRow]


def play(module: str, program: Path | None = None, names: Sequence[str] = ()) -> list[Played]:
    """Play every case of a module of ``tests.clients.cases`` under everything, in a process of its own.

    With a program, the executable for instance: only the cases named, without faults, through that.
    """
    words = [] if program is None else [str(program), *names]
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.clients.runs", module, *words], check=True, stdout=subprocess.PIPE
    )
    return msgspec.json.decode(found.stdout, type=list[Played])


async def _play(cases: list[Case], program: str | None = None) -> list[Played]:
    jobs = [(case, fault) for case in cases for fault in (None, *(() if program else faults_of(case)))]
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
            own = await stack.enter_async_context(_simulator(case, None))  # local providers are served all the same
            providers = {case.provider: {"base_url": own.base_url(case.provider)}}
            projects[_spent(case)] = {"daily_budget": 1e-9, "budget_action": "block", "providers": providers}
        spent = [_spent(case) for case in cases]
        sidecar = await stack.enter_async_context(Through(folder, projects, spent, program))

        async def one(case: Case, fault: Fault | None) -> Played:
            async with gate:
                name = _project(case, fault)
                base = f"{sidecar.url}/p/{name}/{case.provider}"
                for _ in range(2):  # a busy client may take its socket for lost, and ask once more
                    _prepare(near[name], case, fault)
                    relayed, direct = await asyncio.gather(
                        _run(case, base, near[name], _limit_s(case, fault)), directly(case, fault)
                    )
                    if not case.is_socket or relayed.is_like(direct):
                        break
                return Played(case.name, fault.name if fault else WELL, direct, relayed, await sidecar.rows(name))

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
                return Played(case.name, SPENT, None, outcome, await sidecar.rows(_spent(case)))

        return await asyncio.gather(*(one(*job) for job in jobs), *(refused(case) for case in cases))


def _project(case: Case, fault: Fault | None) -> str:
    return f"{case.name[:50]}-{fault.name if fault else WELL}"


def _spent(case: Case) -> str:
    return f"{case.name[:50]}-{SPENT}"


def _simulator(case: Case, fault: Fault | None) -> Simulator:
    simulator = Simulator(quick())
    _prepare(simulator, case, fault)
    return simulator


def _prepare(simulator: Simulator, case: Case, fault: Fault | None) -> None:
    """Let a simulator begin anew."""
    simulator.ledger.clear()
    simulator._orders.clear()
    simulator._rotation.clear()
    if fault is not None:
        simulator.fail_next(case.endpoint, fault.failure, fault.count)


def _limit_s(case: Case, fault: Fault | None) -> float:
    """Return how long a run may take: short only where clients are known to wait for ever."""
    if fault is None or fault.failure.kind is FailureKind.STATUS:
        return PATIENT_S
    if fault.failure.kind is FailureKind.HANG and not case.is_socket:
        return case.limit_s * 2  # its own time limit, several times over
    return case.limit_s


async def _run(case: Case, base: str, simulator: Simulator | None, limit_s: float) -> Outcome:
    value, error, status, message, refusal = None, "", None, "", None
    try:
        async with asyncio.timeout(limit_s):
            value = await case.run(base)
    except Exception as caught:  # whatever a client raises is what is compared
        error, message = type(caught).__name__, str(caught)
        refusal = translate(caught)
        status = getattr(caught, "status_code", None) or getattr(caught, "code", None)
        status = status if isinstance(status, str) or status is None else int(status)
    attempts = simulator.ledger.entries(case.endpoint, key="") if simulator is not None else []
    translated = "" if refusal is None else type(refusal).__name__
    return Outcome(
        value, error, status, message, translated, len(attempts), _address(case, attempts[0]) if attempts else ""
    )


def _address(case: Case, attempt: Entry) -> str:
    method, target, _ = attempt.request_line.split(" ")
    return f"{SOCKET if case.is_socket else method} {target.partition('?')[0]}"


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    every, program, names = list(importlib.import_module(sys.argv[1]).CASES), *(sys.argv[2:3] or [None]), sys.argv[3:]
    played = asyncio.run(_play([case for case in every if program is None or case.name in names], program))
    sys.stdout.buffer.write(msgspec.json.encode(played))

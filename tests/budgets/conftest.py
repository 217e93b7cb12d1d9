"""A sidecar with one budgeted project before a simulator, and prices that make sums easy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import pytest
from msgspec import Struct

from tests.conftest import StartSidecar
from tests.sidecar import Sidecar
from tests.simulator.conftest import ANSWER, quick
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.simulator import Script, Simulator

CALL_USD = 0.006
"""What one chat costs here: an answer of six words, 0.001 USD each; the prompt is free."""
assert len(ANSWER.split()) == 6
PRICES = """
prices:
  openai/gpt-4.1-mini: {input_per_mtok: 0, output_per_mtok: 1000}
  cartesia/sonic-3: {per_1k_chars: 1}
  deepgram/nova-3: {per_minute: 6}
"""
CHAT = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Where is my order?"}]}


class Budgeted(Struct):
    """A sidecar whose project acme has a budget, and the simulator behind it."""

    sidecar: Sidecar
    simulator: Simulator

    def url(self, path: str, project: str = "acme") -> str:
        """An address of a project."""
        return f"{self.sidecar.url}/p/{project}{path}"

    async def chat(self, body: object = CHAT, project: str = "acme") -> tuple[int, aiohttp.ClientResponse]:
        """One chat; returns its status and its read answer."""
        async with self.sidecar.http.post(self.url("/openai/v1/chat/completions", project), json=body) as answer:
            await answer.read()
            return answer.status, answer

    @property
    def in_flight_nanousd(self) -> int:
        """What acme's open exchanges hold."""
        return self.sidecar.running.runtime.budgets.standing("acme").in_flight_nanousd

    @property
    def open_holds(self) -> int:
        """How many exchanges hold anything."""
        return self.sidecar.running.runtime.budgets.open_holds


StartBudgeted = Callable[..., AbstractAsyncContextManager[Budgeted]]


@pytest.fixture
def start_budgeted(start_sidecar: StartSidecar) -> StartBudgeted:
    """A function that starts one: ``async with start_budgeted("block", 0.05, more="yaml")``."""

    @asynccontextmanager
    async def start(
        action: str, budget_usd: float, *, project: str = "", more: str = "", script: Script | None = None,
        unpriced: str = "warn", clock: Clock | None = None, **urls: str,
    ) -> AsyncIterator[Budgeted]:  # fmt: skip
        async with Simulator(script or quick()) as simulator:
            own = f"daily_budget: {round(budget_usd, 9)}, budget_action: {action}{', ' if project else ''}{project}"
            bases = {name: simulator.base_url(name) for name in ("openai", "deepgram", "cartesia")} | urls
            yaml = f"projects: {{acme: {{{own}}}, other: {{}}}}\n{PRICES}{more}"
            async with start_sidecar(yaml, unpriced=unpriced, clock=clock, **bases) as sidecar:
                yield Budgeted(sidecar, simulator)

    return start

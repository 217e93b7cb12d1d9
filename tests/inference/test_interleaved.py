"""Two tasks beside each other on two projects: a thousand calls, in turn and at once, none for the wrong project."""

from __future__ import annotations

import asyncio
from collections import Counter
from itertools import pairwise

from openai import AsyncOpenAI

from tests.inference.conftest import OpenPlace
from voicegw_sidecar import inference

CALLS_EACH = 500
AT_ONCE = 5
MODELS = {"prod": "gpt-4.1-mini", "staging": "gpt-4.1-nano"}
"""Each task asks for a model of its own, whatever the context says: a row tells whose call it was and who paid."""


async def test_a_thousand_interleaved_calls_are_charged_to_their_own_project(open_place: OpenPlace) -> None:
    async with open_place() as place, AsyncOpenAI(api_key="k") as client:
        in_step = asyncio.Barrier(2)

        async def ask(model: str) -> None:
            """Ask in a task of its own, which has the project from the one that started it."""
            await asyncio.sleep(0)
            here = client.with_options(base_url=f"{inference.base_url('openai')}/v1")
            await here.chat.completions.create(
                model=model, messages=[{"role": "user", "content": "Where is my order?"}]
            )

        async def serve(project: str) -> None:
            for number in range(CALLS_EACH // AT_ONCE):
                inference.set_project(project)
                inference.set_session(f"{project}-{number}")
                await in_step.wait()  # the other has set its own by now
                await asyncio.gather(*(ask(MODELS[project]) for _ in range(AT_ONCE)))

        await asyncio.gather(serve("prod"), serve("staging"))
        rows = await place.sidecar.rows(2 * CALLS_EACH)
        assert Counter((row.project, row.model) for row in rows) == {
            ("prod", MODELS["prod"]): CALLS_EACH,
            ("staging", MODELS["staging"]): CALLS_EACH,
        }
        assert all(str(row.session_id).startswith(f"{row.project}-") for row in rows)
        assert set(Counter(row.session_id for row in rows).values()) == {AT_ONCE}
        order = [row.project for row in rows]
        assert sum(before != after for before, after in pairwise(order)) >= CALLS_EACH / AT_ONCE
        costs = await place.sidecar.get_json("/v1/costs?period=all")
        priced = {row.project: (row.cost_nanousd or 0) / 1e9 * CALLS_EACH for row in rows}
        assert {name: round(entry["cost_usd"], 9) for name, entry in costs["by_project"].items()} == {
            name: round(cost, 9) for name, cost in priced.items()
        }

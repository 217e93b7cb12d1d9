"""What runs beside the calls goes on after trouble, and ids go on after a clock that was ahead."""

from __future__ import annotations

import asyncio

import apsw
import pytest

from tests.api.test_api import one_call, upstream
from tests.api.test_sessions import post
from tests.conftest import StartSidecar
from tests.sidecar import raw_server
from tests.test_alerts import Ahead
from voicegw_sidecar.store.queries.latencies import observations

DAY_NS = 86_400 * 10**9


async def test_a_worker_that_fails_begins_anew(start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicegw_sidecar.workers._BEGIN_ANEW_S", 0.05)
    every_second = "workers: {rollup_interval_seconds: 1}\n"
    async with (
        raw_server(upstream) as url,
        start_sidecar(every_second + "projects: {acme: {}}\n", openai=url) as sidecar,
    ):
        runtime = sidecar.running.runtime
        assert (await post(sidecar, "/v1/projects", {"project_id": "gone"}))[0] == 201
        await one_call(sidecar, "/p/gone/openai/v1/chat/completions")
        await sidecar.rows(1)
        other = apsw.Connection(str(runtime.store.path))
        other.set_busy_timeout(5000)
        # what a damaged page does: the database refuses a statement
        refuse = "BEGIN SELECT raise(ABORT, 'no'); END"
        other.execute(f"CREATE TRIGGER a BEFORE INSERT ON latency_observations {refuse}")
        other.execute(f"CREATE TRIGGER b BEFORE DELETE ON exchange {refuse}")
        async with sidecar.http.delete(f"{sidecar.url}/v1/projects/gone?purge=true") as response:
            assert response.status == 200
        refused = runtime.store.state().rejected_rows
        async with asyncio.timeout(20):
            while runtime.store.state().rejected_rows < refused + 4:
                await asyncio.sleep(0.05)
        for name in "ab":
            other.execute(f"DROP TRIGGER {name}")
        other.close()
        await one_call(sidecar)
        async with asyncio.timeout(20):
            while runtime.purges or not await runtime.store.read(observations):
                await asyncio.sleep(0.05)
        [left] = await sidecar.rows(1)
        assert left.project == "acme"


async def test_rows_sort_as_they_were_made_after_the_clock_was_a_day_ahead(start_sidecar: StartSidecar) -> None:
    clock = Ahead()
    async with raw_server(upstream) as url:
        async with start_sidecar("projects: {acme: {}}\n", openai=url, clock=clock) as sidecar:
            clock.ahead_ns = DAY_NS
            early = await one_call(sidecar)
            clock.ahead_ns = 0
            later = [await one_call(sidecar) for _ in range(3)]
            rows = await sidecar.rows(4)
            assert [row.id for row in rows] == [early, *later] == sorted([early, *later])
            await sidecar.running.runtime.rollup.refresh()
            [*seen] = await sidecar.running.runtime.store.read(observations)
            assert {one.observed.sample_count for one in seen} == {4}
            purge_id = sidecar.running.runtime.store.ids.next(clock.wall_ns())
            assert purge_id > later[-1], "what is removed up to now has everything that was made before"
        async with start_sidecar("projects: {acme: {}}\n", openai=url, clock=clock) as sidecar:
            assert await one_call(sidecar) > later[-1], "also after a restart"

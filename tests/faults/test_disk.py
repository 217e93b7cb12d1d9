"""A database in trouble while calls run: only the last piece waits, briefly, and every row lands afterwards."""

from __future__ import annotations

import asyncio

import apsw

from tests.api.test_api import one_call, upstream
from tests.conftest import StartSidecar
from tests.relay.test_http import CHAT
from tests.sidecar import raw_server


async def test_calls_go_on_while_another_program_locks_the_database(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        first = await one_call(sidecar, CHAT)
        foreign = apsw.Connection(str(sidecar.running.runtime.store.path))
        foreign.execute("BEGIN IMMEDIATE")
        during = [await one_call(sidecar, CHAT) for _ in range(5)]
        ready = await sidecar.get_json("/ready")
        assert ready["status"] == "degraded"
        assert ready["waiting_rows"] >= 5
        assert "cannot be written" in ready["reasons"][0]
        foreign.execute("ROLLBACK")
        foreign.close()
        rows = await sidecar.rows(6)
        async with asyncio.timeout(3):
            while (await sidecar.get_json("/ready"))["status"] != "ready":
                await asyncio.sleep(0.05)
        rows = await sidecar.rows(6)
    assert [row.id for row in rows] == [first, *during]
    assert all(row.late for row in rows[1:])
    assert {row.status for row in rows} == {"ok"}


async def test_the_database_is_its_owners_alone(start_sidecar: StartSidecar) -> None:
    async with start_sidecar() as sidecar:
        path = sidecar.running.runtime.store.path
        for file in path.parent.glob(f"{path.name}*"):
            assert file.stat().st_mode & 0o077 == 0, file.name

"""Old rows go, a few at a time; totals, what is open and what is younger stay."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from tests.conftest import StartSidecar
from tests.sidecar import Sidecar
from tests.store.test_database import row
from voicegw_sidecar.ids import IdSource
from voicegw_sidecar.operating.retention import BATCH_ROWS, remove_expired
from voicegw_sidecar.store.records import ExchangeRow, Value
from voicegw_sidecar.store.session_records import join_session
from voicegw_sidecar.terms import Basis, SessionOrigin, Status

DAY_NS = 86_400 * 10**9


def aged(started_ns: int, status: Status = Status.OK, **fields: object) -> ExchangeRow:
    return replace(row(status, started_ns, **fields), id=id_at(started_ns))


def id_at(wall_ns: int) -> str:
    return IdSource().next(wall_ns)  # a source never goes back, and these are not in order


def counted(sidecar: Sidecar, sql: str) -> int:
    connection = apsw.Connection(str(sidecar.running.runtime.store.path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return int(connection.execute(sql).fetchone()[0])  # type: ignore[index]
    finally:
        connection.close()


async def test_old_rows_are_removed_and_their_days_stay(start_sidecar: StartSidecar) -> None:
    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        runtime, now_ns = sidecar.running.runtime, sidecar.running.runtime.clock.wall_ns()
        old = [aged(now_ns - 91 * DAY_NS + n * 10**6) for n in range(3 * BATCH_ROWS + 7)]
        young = [aged(now_ns - 89 * DAY_NS + n * 10**6) for n in range(5)]
        still_open = aged(now_ns - 91 * DAY_NS, Status.OPEN, ended_ns=None, cost_nanousd=None)
        for one in (*old, *young, still_open):
            runtime.store.append(one)
        await runtime.store.committed()
        before = counted(sidecar, "SELECT sum(cost_nanousd) FROM daily_total")
        await remove_expired(runtime, now_ns - 90 * DAY_NS)
        assert counted(sidecar, "SELECT count(*) FROM exchange") == len(young) + 1
        assert counted(sidecar, "SELECT sum(cost_nanousd) FROM daily_total") == before == 1000 * (len(old) + len(young))
        assert counted(sidecar, "SELECT sum(request_count) FROM daily_total") == len(old) + len(young)


async def test_sessions_go_with_their_turns_and_an_open_one_keeps_its_exchanges(start_sidecar: StartSidecar) -> None:
    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        runtime, now_ns = sidecar.running.runtime, sidecar.running.runtime.clock.wall_ns()
        old_ns = now_ns - 3 * DAY_NS
        runtime.sessions.begin("acme", "kiosk", SessionOrigin.NAMED)
        named, joined = aged(old_ns, session_id="kiosk"), aged(old_ns, session_id="before")
        runtime.store.append(named)
        runtime.store.append(joined)
        uids = [id_at(old_ns), id_at(old_ns)]
        for uid, ended_ns in zip(uids, (old_ns + 10**9, now_ns), strict=True):
            values = (uid, runtime.store.node_id, f"name-{uid}", old_ns, ended_ns)
            runtime.store.execute((
                "INSERT INTO session (uid, node_id, project, id, origin, started_ns, budget_ms, route, ended_ns) "
                "VALUES (?, ?, 'acme', ?, 'named', ?, 1500, '{}', ?)", values,
            ), (
                'INSERT INTO turn (session_uid, "index", interrupted, llm_calls, abandoned, has_filler) '
                "VALUES (?, 0, 0, 1, 0, 0)", (uid,),
            ))  # fmt: skip
        move = join_session(
            id_at(now_ns), runtime.store.node_id, joined.id, "acme", "kiosk", Basis.HISTORY, now_ns
        )  # fmt: skip
        runtime.store.execute(move)
        await runtime.store.committed()
        await remove_expired(runtime, now_ns - DAY_NS)
        # the one that was open until a moment ago is as young as its end; the open one's exchanges are still to be told
        assert counted(sidecar, f"SELECT count(*) FROM session WHERE uid = '{uids[0]}'") == 0
        assert counted(sidecar, f"SELECT count(*) FROM session WHERE uid = '{uids[1]}'") == 1
        assert counted(sidecar, "SELECT count(*) FROM turn") == 1
        assert counted(sidecar, "SELECT count(*) FROM exchange") == 2
        await runtime.sessions.close(runtime.sessions.all_open()[0])
        await remove_expired(runtime, now_ns - DAY_NS)
        assert counted(sidecar, "SELECT count(*) FROM exchange") == 0
        assert counted(sidecar, "SELECT count(*) FROM membership") == 0


async def test_a_session_of_many_turns_goes_in_small_pieces(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicegw_sidecar.operating.retention.BETWEEN_S", 0)
    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        store, now_ns = sidecar.running.runtime.store, sidecar.running.runtime.clock.wall_ns()
        old_ns = now_ns - 3 * DAY_NS
        for number in range(2):
            uid = id_at(old_ns + number)
            store.execute((
                "INSERT INTO session (uid, node_id, project, id, origin, started_ns, budget_ms, route, ended_ns) "
                "VALUES (?, ?, 'acme', ?, 'named', ?, 1500, '{}', ?)", (uid, store.node_id, uid, old_ns, old_ns + 1),
            ), *((
                'INSERT INTO turn (session_uid, "index", interrupted, llm_calls, abandoned, has_filler) '
                "VALUES (?, ?, 0, 1, 0, 0)", (uid, index),
            ) for index in range(3 * BATCH_ROWS + 1)))  # fmt: skip
        await store.committed()
        batches = list[int]()
        committed = store.committed

        def counting(*statements: tuple[str, tuple[Value, ...]]) -> asyncio.Future[None]:
            batches.append(counted(sidecar, "SELECT count(*) FROM turn"))
            return committed(*statements)

        monkeypatch.setattr(store, "committed", counting)
        await remove_expired(sidecar.running.runtime, now_ns - DAY_NS)
        assert counted(sidecar, "SELECT count(*) FROM turn") == 0
        assert counted(sidecar, "SELECT count(*) FROM session") == 0
        assert max(before - after for before, after in pairwise([*batches, 0])) == BATCH_ROWS


async def test_the_configured_days_are_looked_at_at_the_start(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        runtime = sidecar.running.runtime
        runtime.store.append(aged(runtime.clock.wall_ns() - 2 * DAY_NS))
        runtime.store.append(aged(runtime.clock.wall_ns() - 1000))
        await runtime.store.committed()
    async with start_sidecar("projects: {acme: {}}\nstorage: {retention_days: 1}\n") as sidecar:
        async with asyncio.timeout(10):  # it looks as soon as it has started
            while counted(sidecar, "SELECT count(*) FROM exchange") == 2:
                await asyncio.sleep(0.02)
        [left] = await sidecar.rows(1)
        assert left.started_ns > sidecar.running.runtime.clock.wall_ns() - DAY_NS

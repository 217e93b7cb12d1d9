"""The store: rows and totals in one transaction, one owner, and trouble that delays nothing but itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import apsw
import pytest
from msgspec.structs import replace

from voicegw_sidecar.errors import StoreFailed
from voicegw_sidecar.ids import IdSource
from voicegw_sidecar.store.database import Store, open_store
from voicegw_sidecar.store.migrate import migrations
from voicegw_sidecar.store.queries.costs import daily, spending
from voicegw_sidecar.store.queries.exchanges import Filter, exchanges
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.terms import Cost, CostSource, FirstBasis, Modality, Status, Usage

UTC = ZoneInfo("UTC")
NOON_NS = 1_795_262_400 * 10**9  # 2026-11-21T12:00:00Z
IDS = IdSource()


def row(status: Status = Status.OK, started_ns: int = NOON_NS, **fields: object) -> ExchangeRow:
    known: dict[str, object] = {
        "project": "acme", "provider": "openai", "model": "gpt-4.1-mini", "modality": Modality.LLM,
        "ended_ns": started_ns + 10**9, "cost_nanousd": 1000, "cost_source": CostSource.CATALOGUE,
    }  # fmt: skip
    return ExchangeRow(id=IDS.next(started_ns), started_ns=started_ns, status=status, **{**known, **fields})  # type: ignore[arg-type]


def priced(left: ExchangeRow) -> Cost:
    return Cost(42, CostSource.CATALOGUE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "voicegw.db"


@pytest.fixture
async def store(path: Path) -> Iterator[Store]:  # type: ignore[misc]
    opened = open_store(path, UTC, NOON_NS, priced)
    yield opened
    await opened.close()


async def written(store: Store, *rows: ExchangeRow) -> None:
    await asyncio.gather(*(store.append_awaited(one) for one in rows))


async def test_a_row_comes_back_as_it_was_written(store: Store) -> None:
    whole = row(
        Status.OK, session_id="call-1", http_status=200, first_ms=12.5, first_ms_basis=FirstBasis.PROVIDER,
        total_ms=99.25, usage=Usage(1, 2, 3, 4, 5, 6, 7, 8, 9.5, 10.5, 11), estimated=True, error="code",
    )  # fmt: skip
    empty = row(
        Status.UPSTREAM_ERROR, ended_ns=None, model=None, modality=None, cost_nanousd=None, cost_source=CostSource.NONE
    )
    await written(store, whole, empty)
    listing = await store.read(exchanges, Filter())
    assert listing.rows == [empty, whole]
    assert listing.next is None


async def test_an_open_row_is_closed_once_and_counted_once(store: Store) -> None:
    closed = row()
    store.append(replace(closed, status=Status.OPEN, ended_ns=None, cost_nanousd=5))
    await written(store, closed, replace(closed, status=Status.CANCELLED, cost_nanousd=7))
    assert (await store.read(exchanges, Filter())).rows == [closed]
    total = (await store.read(spending, None, "9999-12-31", None)).total
    assert (total.nanousd, total.requests) == (1000, 1)


async def test_totals_count_what_the_contract_counts(store: Store) -> None:
    rows = [
        row(status, cost_nanousd=None if status is Status.DEGRADED else 10)
        for status in Status
        if status is not Status.OPEN
    ]
    await written(store, *rows)
    found = await store.read(spending, "2026-11-21", "2026-11-21", "acme")
    assert found.total.nanousd == 10 * (len(rows) - 1)
    assert found.total.requests == len(rows) - 2  # not the refused one, not the idle one
    assert found.total.unpriced == 1
    assert set(found.by_model) == {"openai/gpt-4.1-mini"}
    [day] = await store.read(daily, "2026-11-01", None)
    assert (day.project, day.day, day.cost_usd) == ("acme", "2026-11-21", 10e-9 * (len(rows) - 1))


async def test_a_stream_over_midnight_counts_on_both_days_and_once(tmp_path: Path) -> None:
    zone = ZoneInfo("America/New_York")
    midnight_ns = NOON_NS - 7 * 3600 * 10**9  # 05:00 UTC
    store = open_store(tmp_path / "v.db", zone, NOON_NS, priced)
    stream = row(
        Status.IDLE,
        midnight_ns - 30 * 10**9,
        ended_ns=midnight_ns + 10 * 10**9,
        modality=Modality.STT,
        cost_nanousd=4001,
    )
    spoken = row(Status.OK, midnight_ns - 30 * 10**9, ended_ns=midnight_ns + 10 * 10**9, cost_nanousd=100)
    await written(store, stream, spoken)
    before = await store.read(spending, "2026-11-20", "2026-11-20", None)
    after = await store.read(spending, "2026-11-21", "2026-11-21", None)
    await store.close()
    assert (before.by_modality["stt"].nanousd, after.by_modality["stt"].nanousd) == (3001, 1000)
    assert (before.by_modality["llm"].nanousd, after.by_modality.get("llm")) == (100, None)
    assert (before.total.requests, after.total.requests) == (1, 0)


async def test_filters_and_pages(store: Store) -> None:
    rows = [
        row(started_ns=NOON_NS + n * 10**9, project="a" if n % 2 else "b", session_id=f"s{n % 3}") for n in range(10)
    ]
    await written(store, *rows, row(Status.OPEN, started_ns=NOON_NS + 99 * 10**9))
    first = await store.read(exchanges, Filter(project="a", limit=3))
    assert [one.id for one in first.rows] == [rows[n].id for n in (9, 7, 5)]
    second = await store.read(exchanges, Filter(project="a", limit=3, before_id=first.next))
    assert [one.id for one in second.rows] == [rows[n].id for n in (3, 1)]
    assert second.next is None
    assert len((await store.read(exchanges, Filter(status="open"))).rows) == 1
    assert len((await store.read(exchanges, Filter(session_id="s0"))).rows) == 4
    between = Filter(from_ns=NOON_NS + 2 * 10**9, to_ns=NOON_NS + 4 * 10**9)
    assert len((await store.read(exchanges, between)).rows) == 2


async def test_a_second_sidecar_on_one_database_is_refused_and_names_the_first(store: Store, path: Path) -> None:
    with pytest.raises(StoreFailed, match="in use by the sidecar with process id"):
        open_store(path, UTC, NOON_NS, priced)


async def test_what_a_crash_left_open_becomes_interrupted_with_its_cost_so_far(path: Path) -> None:
    store = open_store(path, UTC, NOON_NS, priced)
    left = row(Status.OPEN, ended_ns=None, cost_nanousd=None)
    await written(store, left)
    await store.close()
    store = open_store(path, UTC, NOON_NS, priced)
    [found] = (await store.read(exchanges, Filter())).rows
    total = (await store.read(spending, None, "9999-12-31", None)).total
    await store.close()
    assert (found.status, found.estimated, found.cost_nanousd) == (Status.INTERRUPTED, True, 42)
    assert (total.nanousd, total.requests) == (42, 1)


async def test_a_stopped_sidecar_leaves_everything_in_one_file(path: Path) -> None:
    store = open_store(path, UTC, NOON_NS, priced)
    await written(store, row(), row())
    await store.read(exchanges, Filter())  # readers are still open when the writer ends
    await store.close()
    (path.parent / "alone.db").write_bytes(path.read_bytes())
    copy = apsw.Connection(str(path.parent / "alone.db"))
    assert copy.execute("SELECT count(*) FROM exchange").fetchone() == (2,)
    copy.close()


async def test_a_locked_database_delays_rows_and_nothing_else(store: Store, path: Path) -> None:
    foreign = apsw.Connection(str(path))
    foreign.execute("BEGIN IMMEDIATE")
    commit = store.append_awaited(row())
    await asyncio.sleep(0.4)
    state = store.state()
    assert not commit.done()
    assert (state.waiting_rows, state.trouble) == (1, "BusyError")
    listing = await asyncio.wait_for(store.read(exchanges, Filter()), 1)  # readers are not in the way
    assert listing.rows == []
    foreign.execute("COMMIT")
    foreign.close()
    await asyncio.wait_for(commit, 3)
    assert (store.state().waiting_rows, store.state().trouble) == (0, None)


async def test_a_full_disk_keeps_rows_waiting_until_there_is_room(store: Store) -> None:
    connection = store._writer._connection
    pages = connection.pragma("page_count")
    connection.pragma("max_page_count", pages)
    commits = [store.append_awaited(row()) for _ in range(300)]
    await asyncio.sleep(0.5)
    assert store.state().trouble == "FullError"
    assert store.state().waiting_rows > 0
    connection.pragma("max_page_count", 1_000_000)
    await asyncio.wait_for(asyncio.gather(*commits), 5)
    assert (await store.read(spending, None, "9999-12-31", None)).total.requests == 300


async def test_past_the_limit_rows_are_dropped_and_counted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicegw_sidecar.store.writer.LIMIT_ROWS", 3)
    store._writer._wake.set()
    blocker = apsw.Connection(str(store.path))
    blocker.execute("BEGIN IMMEDIATE")
    for _ in range(5):
        store.append(row())
    assert store.state().dropped_rows == 2
    blocker.execute("ROLLBACK")
    blocker.close()


async def test_a_row_the_schema_refuses_does_not_take_others_with_it(store: Store) -> None:
    bad = replace(row(), modality="nonsense")  # type: ignore[arg-type]
    await written(store, row(), bad, row())
    assert len((await store.read(exchanges, Filter())).rows) == 2
    assert store.state().rejected_rows == 1


def test_a_newer_database_is_refused_before_anything_is_written(path: Path) -> None:
    path.parent.mkdir()
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", len(migrations()) + 1)
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreFailed, match="written by a newer version"):
        open_store(path, UTC, NOON_NS, priced)
    assert path.read_bytes() == before
    assert sorted(one.name for one in path.parent.iterdir()) == ["voicegw.db", "voicegw.db.lock"]


@pytest.mark.parametrize("content", [b"this is not a database, only text of some length" * 40])
def test_what_is_no_database_is_one_clear_line(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreFailed, match=r"cannot open .* as a database") as caught:
        open_store(path, UTC, NOON_NS, priced)
    assert path.read_bytes() == content
    assert "\n" not in caught.value.message


async def test_the_specs_own_query_runs(store: Store) -> None:
    await written(store, row())
    connection = apsw.Connection(str(store.path), flags=apsw.SQLITE_OPEN_READONLY)
    query = """SELECT project, day, SUM(total_cost) as cost FROM project_daily_costs
               WHERE day >= date('2026-11-21', '-7 days') GROUP BY project, day ORDER BY project, day"""
    assert connection.execute(query).fetchall() == [("acme", "2026-11-21", 1e-6)]
    for table, columns in {
        "managed_projects": {"project_id"},
        "latency_observations": {"project_id", "provider", "model", "modality", "p50_ms", "p95_ms", "sample_count",
                                 "window_start", "window_end", "refreshed_at"},
        "project_daily_costs": {"project", "day", "modality", "provider", "model", "request_count", "total_cost"},
    }.items():  # fmt: skip
        names = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))}
        assert columns <= names
    connection.close()

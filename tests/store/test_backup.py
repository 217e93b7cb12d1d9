"""A copy of the database is whole, is made while rows are written, and never half there."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
from pathlib import Path

import apsw
import pytest

from tests.cli.test_commands import run
from tests.conftest import StartSidecar
from tests.store.test_database import row
from voicegw_sidecar.errors import StoreFailed
from voicegw_sidecar.store.backup import back_up
from voicegw_sidecar.store.migrate import migrations


async def test_a_copy_made_under_load_is_whole_and_calls_rows_go_on(
    start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        store = sidecar.running.runtime.store
        await asyncio.gather(*(store.append_awaited(row()) for _ in range(3000)))
        words = ("--config", str(sidecar.config), "backup", str(tmp_path / "copy.db"))
        backup = asyncio.ensure_future(run(*words))
        written = 0
        while not backup.done():
            await store.append_awaited(row())
            written += 1
        code, out, err = await backup
        assert (code, err) == (0, "")
        assert "signing.key" in out
    copy = tmp_path / "copy.db"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    connection = apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.pragma("integrity_check") == "ok"
    assert connection.pragma("user_version") == len(migrations())
    count, nanousd = connection.execute("SELECT count(*), sum(cost_nanousd) FROM exchange").fetchone()  # type: ignore[misc]
    assert 3000 <= count <= 3000 + written
    assert connection.execute("SELECT sum(request_count), sum(cost_nanousd) FROM daily_total").fetchone() == (
        count, nanousd)  # fmt: skip
    connection.close()
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]


async def test_a_sidecar_starts_on_the_copy(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        await sidecar.running.runtime.store.append_awaited(row())
        database = sidecar.running.runtime.store.path
        back_up(database, tmp_path / "copy.db", replaces=False)
    for left in tmp_path.glob("voicegw.db*"):
        left.unlink()
    (tmp_path / "copy.db").rename(database)
    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        await sidecar.rows(1)


def test_a_file_that_is_there_stays_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    source, target = made(tmp_path / "source.db"), tmp_path / "copy.db"
    target.write_text("something else")
    with pytest.raises(StoreFailed, match="is there already; name another file, or replace it with --force"):
        back_up(source, target, replaces=False)
    assert target.read_text() == "something else"
    assert back_up(source, target, replaces=True) == target.stat().st_size
    assert target.read_bytes().startswith(b"SQLite format 3")


@pytest.mark.parametrize("version", [1, len(migrations()) + 3])
def test_a_database_of_another_version_is_copied_too(tmp_path: Path, version: int) -> None:
    back_up(made(tmp_path / "source.db", version), tmp_path / "copy.db", replaces=False)
    connection = apsw.Connection(str(tmp_path / "copy.db"))
    assert connection.pragma("user_version") == version
    connection.close()


@pytest.mark.parametrize("name", ["voicegw.db", "voicegw.db-wal", "voicegw.db.lock", "link.db"])
async def test_the_database_itself_is_never_replaced(start_sidecar: StartSidecar, tmp_path: Path, name: str) -> None:
    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        store = sidecar.running.runtime.store
        await store.append_awaited(row())
        (tmp_path / "link.db").symlink_to(store.path)
        with pytest.raises(StoreFailed, match="is the database itself"):
            back_up(store.path, tmp_path / name, replaces=True)
        await store.append_awaited(row())
    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        await sidecar.rows(2)


def test_what_a_killed_copy_left_is_removed_by_the_next_and_that_of_a_running_one_stays(tmp_path: Path) -> None:
    dead, alive = tmp_path / ".copy.db.4194305.partial", tmp_path / f".copy.db.{os.getppid()}.partial"
    for left in (dead, tmp_path / f"{dead.name}-journal", alive):
        left.write_text("half a copy")
    back_up(made(tmp_path / "source.db"), tmp_path / "copy.db", replaces=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [alive.name, "copy.db", "source.db"]


def test_a_copy_that_does_not_fit_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = made(tmp_path / "source.db")
    full = shutil.disk_usage(tmp_path)._replace(free=source.stat().st_size - 1)
    monkeypatch.setattr("voicegw_sidecar.store.backup.shutil.disk_usage", lambda path: full)
    with pytest.raises(StoreFailed, match="MB free, a copy may take"):
        back_up(source, tmp_path / "copy.db", replaces=False)
    assert [path.name for path in tmp_path.iterdir()] == ["source.db"]


async def test_a_copy_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    source = made(tmp_path / "voicegw.db", rows=1_000_000)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voicegw_sidecar", "backup", str(tmp_path / "copy.db"),
        env={**os.environ, "VOICEGW_DB_PATH": str(source), "HOME": str(tmp_path)}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(20):
        while not any("partial" in path.name and path.stat().st_size for path in tmp_path.iterdir()):
            await asyncio.sleep(0.002)
    process.terminate()
    await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 130
    assert [path.name for path in tmp_path.iterdir()] == ["voicegw.db"]


def test_what_is_no_database_or_has_no_place_is_one_error_and_no_file(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database, whatever its name says " * 50)
    for source, target, words in (
        (tmp_path / "text.db", tmp_path / "copy.db", "cannot copy"),
        (made(tmp_path / "empty.db", 0), tmp_path / "copy.db", "holds no voicegw-sidecar database"),
        (made(tmp_path / "source.db"), tmp_path / "nowhere" / "copy.db", "cannot write"),
        (tmp_path / "source.db", tmp_path, "folder"),
    ):
        with pytest.raises(StoreFailed, match=words):
            back_up(source, target, replaces=target.is_dir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty.db", "source.db", "text.db"]


def test_a_damaged_database_gives_no_copy(tmp_path: Path) -> None:
    source = made(tmp_path / "source.db", rows=2000)
    size = source.stat().st_size
    with source.open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(4096 * 4))
    with pytest.raises(StoreFailed):
        back_up(source, tmp_path / "copy.db", replaces=False)
    assert [path.name for path in tmp_path.iterdir()] == ["source.db"]


def made(path: Path, version: int = 1, rows: int = 1) -> Path:
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE t (a TEXT)")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO t VALUES (?)", [("x" * 100,)] * rows)
    connection.execute("COMMIT")
    connection.pragma("user_version", version)
    connection.close()
    return path

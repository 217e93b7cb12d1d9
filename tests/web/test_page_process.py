"""The process that draws pages: what it answers, what becomes of pages without it, and how it ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import apsw
import pytest
from msgspec import Struct

from voicegw_sidecar.errors import UnknownSession
from voicegw_sidecar.store.migrate import migrate
from voicegw_sidecar.web import page_process
from voicegw_sidecar.web.page_process import Job, _Drawer


class Shown(Struct, frozen=True):
    status: int = 404
    title: str = "A <title>"
    message: str = "a & b"


def shown(connection: apsw.Connection) -> Shown:
    return Shown()


def counted(connection: apsw.Connection, most: int) -> bytes:
    query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT count(*) FROM n"
    return str(connection.execute(query, (most,)).fetchone()).encode()


def refused(connection: apsw.Connection) -> Shown:
    raise UnknownSession("there is no such session here")


def broken(connection: apsw.Connection) -> Shown:
    raise ValueError("secret words")


def bad_sql(connection: apsw.Connection) -> Shown:
    connection.execute("SELECT secret FROM nowhere")
    return Shown()


@pytest.fixture
def database(tmp_path: Path) -> str:
    connection = apsw.Connection(str(tmp_path / "x.db"))
    connection.pragma("journal_mode", "wal")
    migrate(connection)
    connection.close()
    return str(tmp_path / "x.db")


def test_it_answers_with_the_page_or_with_why_there_is_none(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        drawer = _Drawer(theirs)

        def answer(template: str | None, build: object, *args: object, path: str = database) -> tuple[str, object]:
            return drawer._answer(path, "UTC", Job(template, None, build, args))  # type: ignore[arg-type]

        kind, page = answer("pages/error.html", shown)
        assert kind == "page"
        assert isinstance(page, bytes)
        assert b"A &lt;title&gt;" in page
        assert answer(None, counted, 10) == ("page", b"(10,)")
        assert answer("pages/error.html", refused) == (
            "refused", ("UnknownSession", "there is no such session here"))  # fmt: skip
        assert answer("pages/error.html", broken) == ("failed", "ValueError in pages/error.html")  # no words of it
        assert answer("pages/error.html", bad_sql) == ("database", "SQLError")
        assert answer("pages/nosuch.html", shown) == ("failed", "TemplateNotFound in pages/nosuch.html")
        assert answer("pages/error.html", shown, path=f"{database}.none")[0] == "database"
        monkeypatch.setattr(page_process, "QUERY_LIMIT_S", 0.05)
        assert answer(None, counted, 100_000_000) == ("slow", None)
        assert answer(None, counted, 10) == ("page", b"(10,)")
        drawer._stream.close()


def test_it_rests_again_and_again_while_it_works(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        drawer = _Drawer(theirs)
        rests: list[float] = []
        monkeypatch.setattr(time, "sleep", rests.append)
        assert drawer._answer(database, "UTC", Job(None, None, counted, (1_000_000,))) == ("page", b"(1000000,)")
        in_a_query = len(rests)
        monkeypatch.setattr(page_process, "_WORK_S", 0.0)
        drawer._answer(database, "UTC", Job("pages/error.html", None, shown, ()))
        drawer._stream.close()
    assert in_a_query > 10  # of 400 microseconds: a million steps take far longer
    assert len(rests) - in_a_query > 10  # a template is many pieces


@asynccontextmanager
async def served(tmp_path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str, int]]:
    """A sidecar as a process of its own: it, its address, and the process that draws its pages."""
    config = tmp_path / "voicegw.yaml"
    config.write_text(f"serve: {{port: 0, drain_seconds: 1}}\ncost_tracking: {{db_path: {tmp_path / 'voicegw.db'}}}\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voicegw_sidecar", "serve", "--config", str(config), stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    try:
        [child] = children
        yield process, re.findall(r"http://\S+", line)[0], int(child)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


async def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        await asyncio.sleep(0.05)
    return False


async def status(http: aiohttp.ClientSession, url: str) -> int:
    async with http.get(url) as response:
        await response.read()
        return response.status


async def test_pages_are_drawn_elsewhere_and_without_it_all_the_same(tmp_path: Path) -> None:
    async with served(tmp_path) as (process, url, child), aiohttp.ClientSession() as http:

        def ticks() -> int:
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        before = ticks()
        for _ in range(20):
            assert await status(http, f"{url}/sessions") == 200
        assert ticks() > before
        assert os.getpriority(os.PRIO_PROCESS, child) == 19
        os.kill(child, signal.SIGKILL)
        assert await gone(child)
        for path in ("/", "/sessions", "/projects/new"):
            assert await status(http, url + path) == 200
        assert await status(http, f"{url}/sessions/nosuch") == 404
        process.send_signal(signal.SIGTERM)
        _, err = await asyncio.wait_for(process.communicate(), 10)
        assert process.returncode == 0
        assert err.decode().count("the process that draws pages has ended") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("whole_group", [True, False])
async def test_it_never_outlives_the_sidecar(tmp_path: Path, number: signal.Signals, whole_group: bool) -> None:
    async with served(tmp_path) as (process, url, child), aiohttp.ClientSession() as http:
        assert await status(http, f"{url}/") == 200
        if whole_group:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        await asyncio.wait_for(process.wait(), 10)
        assert process.returncode == (-9 if number is signal.SIGKILL else 0)
        assert await gone(child)


async def test_more_pages_at_once_than_may_wait_are_told_to_come_again(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, url, _), aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        seen = await asyncio.gather(*(status(http, f"{url}/projects") for _ in range(150)))
        assert set(seen) <= {200, 503}
        assert seen.count(200) >= 64
        assert await status(http, f"{url}/projects") == 200

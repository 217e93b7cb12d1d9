"""kill -9 under load, with a ledger outside the sidecar: what an agent has whole, the database has once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import apsw
import pytest

from tests.simulator.conftest import quick
from voicegw_sidecar.simulator import Simulator, Thinking

ROUNDS = int(os.environ.get("VOICEGW_KILL_ROUNDS", "6"))
AGENTS = 12


@asynccontextmanager
async def sidecar_process(config: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voicegw_sidecar", "serve", "--config", str(config),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
        yield process, line.split()[-1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def talk(url: str, finished: list[str], seen: set[str]) -> None:
    """One agent: chat after chat, streamed and not; notes each id whose answer arrived whole."""
    async with aiohttp.ClientSession() as http:
        for number in range(10_000):
            body = {"model": "gpt-4.1-mini", "stream": number % 2 == 0, "messages": [{"role": "user", "content": "hi"}]}
            try:
                async with http.post(f"{url}/p/acme/openai/v1/chat/completions", json=body) as response:
                    exchange = response.headers["X-VoiceGW-Exchange"]
                    seen.add(exchange)
                    answer = await response.read()
            except (aiohttp.ClientError, ConnectionError):
                return
            assert answer.endswith((b"data: [DONE]\n\n", b"}"))
            finished.append(exchange)


@pytest.mark.timeout(180)
async def test_no_finished_exchange_is_lost_over_rounds_of_kill(tmp_path: Path) -> None:
    finished: list[str] = []
    seen: set[str] = set()
    database = tmp_path / "voicegw.db"
    async with Simulator(quick(chat=Thinking(first_token_ms=3.0, token_interval_ms=0.5))) as simulator:
        config = tmp_path / "voicegw.yaml"
        config.write_text(
            f"projects: {{acme: {{}}}}\nserve: {{port: 0}}\ncost_tracking: {{db_path: {database}}}\n"
            f"providers: {{openai: {{base_url: '{simulator.base_url('openai')}'}}}}\n"
        )
        for number in range(ROUNDS):
            async with sidecar_process(config) as (process, url):
                agents = [asyncio.ensure_future(talk(url, finished, seen)) for _ in range(AGENTS)]
                await asyncio.sleep(0.4 + 0.05 * number)
                process.send_signal(signal.SIGKILL)
                await asyncio.gather(*agents)
        async with sidecar_process(config) as (process, url):  # closes what the last kill left open
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 10) == 0
    assert len(finished) > ROUNDS * AGENTS
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    rows = dict(connection.execute("SELECT id, status FROM exchange"))
    late = connection.execute("SELECT count(*) FROM exchange WHERE late").fetchone()[0]
    missing = [exchange for exchange in finished if rows.get(exchange) != "ok"]
    # a row that took longer than its call could wait is marked late; only such a one may be lost, and none was
    assert missing == [], f"{len(missing)} of {len(finished)} lost, {late} late"
    assert len(set(finished)) == len(finished)
    assert connection.execute("SELECT count(*) FROM exchange WHERE status = 'open'").fetchone()[0] == 0
    interrupted = connection.execute(
        "SELECT count(*), sum(estimated), count(cost_nanousd) FROM exchange WHERE status = 'interrupted'"
    ).fetchone()
    assert interrupted[0] == interrupted[1] == interrupted[2]
    assert connection.pragma("integrity_check") == "ok"
    total = connection.execute("SELECT sum(cost_nanousd), count(*) FROM exchange").fetchone()
    days = connection.execute("SELECT sum(cost_nanousd), sum(request_count) FROM daily_total").fetchone()
    assert total == days
    connection.close()

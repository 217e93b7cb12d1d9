"""Reloads and the end of a sidecar under load: no call of an open conversation is lost, and none is counted twice."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import apsw
import pytest
from msgspec import Struct, field

from tests.faults.test_kill import sidecar_process
from tests.simulator.conftest import quick
from tests.simulator.sounds import frames, spoken
from voicegw_sidecar.simulator import Simulator, Thinking

AGENTS = int(os.environ.get("VOICEGW_DRAIN_AGENTS", "10"))
AFTER_THE_SIGNAL = 12
"""Calls that each agent still makes once the sidecar was told to stop."""
GOOD = ("budget_ms: 1200", "budget_ms: 1300", "budget_ms: 1400")
BAD = ("budget_ms: fast", "budgt_ms: 1200", "{", "")


class Ledger(Struct):
    """What the agents saw, kept outside the sidecar."""

    finished: list[str] = field(default_factory=list)
    heard: int = 0
    refused: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def configuration(tmp_path: Path, simulator: Simulator, routing: str) -> str:
    return (
        f"projects: {{acme: {{routing: {{{routing}}}}}}}\n"
        f"serve: {{port: 0, drain_seconds: 40}}\ncost_tracking: {{db_path: {tmp_path / 'voicegw.db'}}}\n"
        f"providers:\n  openai: {{base_url: '{simulator.base_url('openai')}'}}\n"
        f"  deepgram: {{base_url: '{simulator.base_url('deepgram')}'}}\n"
    )


async def converse(url: str, number: int, speech: bytes, ledger: Ledger, is_stopping: asyncio.Event) -> None:
    """One conversation: a socket that listens the whole time, and answer after answer, streamed and not."""
    prefix = f"{url}/p/acme/s/call-{number}"
    query = {"model": "nova-3", "encoding": "linear16", "sample_rate": "16000"}
    async with aiohttp.ClientSession() as http:
        try:
            async with http.ws_connect(f"{prefix}/deepgram/v1/listen", params=query) as ear:
                left = AFTER_THE_SIGNAL
                while left:
                    left -= is_stopping.is_set()
                    for frame in frames(speech):
                        await ear.send_bytes(frame)
                    await answer(http, prefix, ledger, is_streamed=left % 2 == 0)
                await ear.send_str('{"type":"CloseStream"}')
                ledger.heard += [message.type async for message in ear].count(aiohttp.WSMsgType.TEXT)
            async with http.post(f"{url}/v1/sessions/call-{number}/close?project=acme", json={}) as response:
                assert response.status == 200, await response.text()
        except (aiohttp.ClientError, ConnectionError, AssertionError) as error:
            ledger.lost.append(f"{type(error).__name__}: {error}")


async def answer(http: aiohttp.ClientSession, prefix: str, ledger: Ledger, *, is_streamed: bool) -> None:
    body = {"model": "gpt-4.1-mini", "stream": is_streamed, "messages": [{"role": "user", "content": "hi"}]}
    async with http.post(f"{prefix}/openai/v1/chat/completions", json=body) as response:
        content = await response.read()
        assert response.status == 200, content
        assert content.endswith((b"data: [DONE]\n\n", b"}"))
        ledger.finished.append(response.headers["X-VoiceGW-Exchange"])


async def call_as_somebody_new(url: str, ledger: Ledger) -> None:
    async with aiohttp.ClientSession() as http:
        body = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hi"}]}
        async with http.post(f"{url}/p/acme/s/too-late/openai/v1/chat/completions", json=body) as response:
            assert response.status == 503
            ledger.refused.append(response.headers["X-VoiceGW-Error"])
        async with http.post(f"{url}/v1/sessions", json={"project": "acme"}) as response:
            assert response.status == 503
            ledger.refused.append((await response.json())["error"]["code"])
        async with http.get(f"{url}/ready") as response:
            assert (response.status, (await response.json())["reasons"]) == (503, ["draining"])


@pytest.mark.timeout(120)
async def test_no_call_is_lost_while_the_file_changes_and_the_sidecar_ends(tmp_path: Path) -> None:
    ledger, is_stopping, speech = Ledger(), asyncio.Event(), spoken("hello", 0.2)
    async with Simulator(quick(chat=Thinking(first_token_ms=3.0, token_interval_ms=1.0))) as simulator:
        config = tmp_path / "voicegw.yaml"
        config.write_text(configuration(tmp_path, simulator, GOOD[0]))
        async with sidecar_process(config) as (process, url):
            agents = [
                asyncio.ensure_future(converse(url, number, speech, ledger, is_stopping)) for number in range(AGENTS)
            ]
            for routing in (*GOOD, *BAD, *GOOD):
                before = len(ledger.finished)
                config.write_text(configuration(tmp_path, simulator, routing) if routing else "")
                process.send_signal(signal.SIGHUP)
                while len(ledger.finished) < before + AGENTS and not ledger.lost:
                    await asyncio.sleep(0.01)
            async with aiohttp.ClientSession() as http, http.get(f"{url}/api/routing?project=acme") as response:
                assert (await response.json())["projects"]["acme"]["budget_ms"] == 1400
            process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.1)
            await call_as_somebody_new(url, ledger)
            is_stopping.set()
            await asyncio.gather(*agents)
            assert await asyncio.wait_for(process.wait(), 20) == 0  # by itself, long before its limit of 40 s
    assert ledger.lost == []
    assert ledger.refused == ["draining", "draining"]
    assert ledger.heard > AGENTS
    assert len(ledger.finished) >= AGENTS * (AFTER_THE_SIGNAL + len(GOOD))
    connection = apsw.Connection(str(tmp_path / "voicegw.db"), flags=apsw.SQLITE_OPEN_READONLY)
    rows = connection.execute("SELECT id FROM exchange WHERE modality = 'llm' AND status = 'ok' AND project = 'acme'")
    assert sorted(id_ for (id_,) in rows) == sorted(ledger.finished)
    assert connection.execute("SELECT count(*) FROM exchange WHERE status NOT IN ('ok', 'idle')").fetchone()[0] == 0  # type: ignore[index]
    closed = connection.execute("SELECT count(*) FROM session WHERE ended_ns IS NOT NULL AND project = 'acme'")
    assert closed.fetchone()[0] == AGENTS  # type: ignore[index]
    connection.close()


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async with Simulator(quick(chat=Thinking(first_token_ms=30_000.0))) as simulator:
        config = tmp_path / "voicegw.yaml"
        config.write_text(configuration(tmp_path, simulator, GOOD[0]))
        async with sidecar_process(config) as (process, url), aiohttp.ClientSession() as http:
            body = {"model": "gpt-4.1-mini", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
            waiting = asyncio.ensure_future(http.post(f"{url}/p/acme/s/call-1/openai/v1/chat/completions", json=body))
            while not simulator.ledger.entries():
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGTERM)  # an echo: what passes signals on may have passed it on twice
            await asyncio.sleep(0.8)
            assert process.returncode is None
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0  # not the 40 s of its limit
            with pytest.raises(aiohttp.ClientError):
                await waiting
    connection = apsw.Connection(str(tmp_path / "voicegw.db"), flags=apsw.SQLITE_OPEN_READONLY)
    [(status,)] = connection.execute("SELECT status FROM exchange").fetchall()
    assert status == "cancelled"
    connection.close()

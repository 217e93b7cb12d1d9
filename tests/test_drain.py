"""Told to stop, a sidecar lets conversations end: it goes when none is under way, at its limit, or told twice."""

from __future__ import annotations

import asyncio
import logging

import aiohttp
import pytest

from tests.api.test_api import upstream
from tests.api.test_sessions import CHAT, ROUTED, call, post
from tests.conftest import StartSidecar
from tests.sidecar import Sidecar, echoing_sockets, raw_server, read_request
from voicegw_sidecar import tasks
from voicegw_sidecar.drain import drain, is_under_way

LONG_S = 20.0


def draining(sidecar: Sidecar, limit_s: float = LONG_S) -> asyncio.Task[None]:
    return tasks.spawn(drain(sidecar.running.runtime, sidecar.running.relay, limit_s), name="test drain")


async def ready(sidecar: Sidecar) -> tuple[int, list[str]]:
    async with sidecar.http.get(f"{sidecar.url}/ready") as response:
        return response.status, (await response.json())["reasons"]


async def test_with_nothing_under_way_it_is_over_at_once(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        await asyncio.wait_for(draining(sidecar), 5)
        assert await ready(sidecar) == (503, ["draining"])


async def test_a_conversation_between_two_calls_is_waited_for(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar(ROUTED, openai=url) as sidecar:
        await call(sidecar, "/p/acme/s/call-1")  # its connection stays open for the next call
        over = draining(sidecar)
        await asyncio.sleep(0.2)
        assert not over.done()
        await call(sidecar, "/p/acme/s/call-1")
        await post(sidecar, "/v1/sessions/call-1/close?project=acme")
        await asyncio.wait_for(over, 5)


async def test_a_pause_is_waited_for_and_an_agent_that_is_gone_is_not(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw_server(upstream) as url, start_sidecar(ROUTED, openai=url) as sidecar:
        runtime, relay = sidecar.running.runtime, sidecar.running.relay
        async with aiohttp.ClientSession() as agent:
            path = f"{sidecar.url}/p/acme/s/call-1/openai/v1/chat/completions"
            async with agent.post(path, data=CHAT) as response:
                await response.read()
            monkeypatch.setattr("voicegw_sidecar.drain.GONE_NS", 0)
            assert is_under_way(runtime, relay)
            monkeypatch.setattr("voicegw_sidecar.drain.PAUSE_NS", 0)
            assert not is_under_way(runtime, relay), "it was silent for long enough"
            monkeypatch.undo()
            monkeypatch.setattr("voicegw_sidecar.drain.GONE_NS", 0)
        async with asyncio.timeout(5):  # its connections are closed
            while is_under_way(runtime, relay):
                await asyncio.sleep(0.01)
        assert [one.id for one in runtime.sessions.all_open()] == ["call-1"]
        await asyncio.wait_for(draining(sidecar), 5)


async def test_an_agent_that_opens_a_connection_for_every_call_is_given_a_moment(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar(ROUTED, openai=url) as sidecar:
        async with aiohttp.ClientSession(headers={"Connection": "close"}) as agent:
            path = f"{sidecar.url}/p/acme/s/call-1/openai/v1/chat/completions"
            async with agent.post(path, data=CHAT) as response:
                await response.read()
        assert is_under_way(sidecar.running.runtime, sidecar.running.relay)


@pytest.mark.parametrize("way", ["the limit is reached", "told a second time"])
async def test_what_does_not_end_is_cut_off(
    start_sidecar: StartSidecar, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    has_begun = asyncio.Event()

    async def never_ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        has_begun.set()
        await reader.read()

    async with raw_server(never_ends) as url, start_sidecar(ROUTED, openai=url) as sidecar:
        running = asyncio.ensure_future(call(sidecar, "/p/acme/s/call-1"))
        await has_begun.wait()
        with caplog.at_level(logging.WARNING, "voicegw_sidecar"):
            over = draining(sidecar, 0.3 if way == "the limit is reached" else LONG_S)
            await asyncio.sleep(0.1)
            assert not over.done()
            if way == "told a second time":
                sidecar.running.runtime.stop_now.set()
            await asyncio.wait_for(over, 5)
        assert [(record.message, record.reason) for record in caplog.records] == [("what still runs is cut off", way)]  # type: ignore[attr-defined]
        running.cancel()


async def test_sockets_count_as_much_as_requests(start_sidecar: StartSidecar) -> None:
    async with echoing_sockets() as url, start_sidecar(ROUTED, deepgram=url) as sidecar:
        async with sidecar.http.ws_connect(f"{sidecar.url}/p/acme/s/call-1/deepgram/v1/listen") as socket:
            over = draining(sidecar)
            await asyncio.sleep(0.1)
            await socket.send_str('{"type":"KeepAlive"}')
            assert (await socket.receive()).data == '{"type":"KeepAlive"}'
            assert not over.done()
        await post(sidecar, "/v1/sessions/call-1/close?project=acme")
        await asyncio.wait_for(over, 10)


async def test_probes_are_answered_on_a_port_of_their_own_and_nothing_else(start_sidecar: StartSidecar) -> None:
    async with start_sidecar("auth: {api_keys: [admin-key-0123456789]}\nserve: {health_port: 0, port: 0}\n") as sidecar:
        base = f"http://127.0.0.1:{sidecar.running.health_port}"
        for path, expected in (("/health", 200), ("/ready", 200), ("/v1/status", 404), ("/", 404), ("/openai/v1", 404)):
            # an orchestrator calls a pod by its address, which is no name that browsers may use
            async with sidecar.http.get(base + path, headers={"Host": "10.1.2.3:8081"}) as response:
                assert (path, response.status) == (path, expected)
        sidecar.running.runtime.is_draining = True
        async with sidecar.http.get(f"{base}/ready") as response:
            assert response.status == 503
        async with sidecar.http.post(f"{base}/health") as response:
            assert response.status == 405

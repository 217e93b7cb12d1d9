"""Faults on the way to the provider: each is named in the agent's answer and in the row, and nothing is worse after it.

Every test ends with a call that works: the sidecar is healthy, holds no part of a budget and is not degraded.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.budgets.conftest import CHAT
from tests.conftest import StartSidecar
from tests.sidecar import Sidecar, raw_server, read_request
from tests.simulator.conftest import ANSWER, eventually, quick
from tests.simulator.sounds import buzz, frames
from voicegw_sidecar.simulator import Failure, FailureKind, Simulator, Speaking

OPENAI = "/p/acme/openai/v1/chat/completions"
LISTEN = "/p/acme/deepgram/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000"
PROJECT = "projects: {acme: {daily_budget: 1000, budget_action: block}}\n"


@asynccontextmanager
async def standing(
    start_sidecar: StartSidecar, script: object = None, **urls: str
) -> AsyncIterator[tuple[Sidecar, Simulator]]:
    """A sidecar before a simulator, some of whose addresses are replaced; checked for health at the end."""
    async with Simulator(script or quick()) as simulator:  # type: ignore[arg-type]
        bases = {name: simulator.base_url(name) for name in ("openai", "deepgram", "cartesia", "groq")} | urls
        async with start_sidecar(PROJECT, **bases) as sidecar:
            yield sidecar, simulator
            await healthy(sidecar)


async def healthy(sidecar: Sidecar) -> None:
    url = f"{sidecar.url}/p/acme/groq/openai/v1/chat/completions"
    async with sidecar.http.post(url, json={**CHAT, "model": "llama-3.3-70b-versatile"}) as answer:
        assert answer.status == 200
        assert ANSWER in await answer.text()
    assert (await sidecar.get_json("/ready"))["status"] == "ready"
    await eventually(lambda: sidecar.running.runtime.budgets.open_holds == 0)


def nowhere() -> str:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize(
    ("base_url", "words"),
    [("http://no-such-host.invalid", "could not be resolved"), (None, "refused")],
    ids=["name not found", "connection refused"],
)
async def test_a_provider_that_cannot_be_dialled(start_sidecar: StartSidecar, base_url: str | None, words: str) -> None:
    address = base_url or nowhere()
    async with standing(start_sidecar, openai=address, deepgram=address) as (sidecar, _):
        async with sidecar.http.post(sidecar.url + OPENAI, json=CHAT) as answer:
            assert (answer.status, answer.headers["X-VoiceGW-Error"]) == (502, "upstream_unreachable")
            assert words in (await answer.json())["error"]["message"]
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await sidecar.http.ws_connect(sidecar.url + LISTEN)
        assert caught.value.status == 502
        rows = await sidecar.rows(2)
        assert {(row.status, row.error, row.cost_nanousd) for row in rows} == {
            ("upstream_error", "upstream_unreachable", 0)}  # fmt: skip


async def test_a_certificate_that_nobody_vouches_for_is_refused(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    heard = []

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))

    server = await asyncio.start_server(served, "127.0.0.1", 0, ssl=tls)
    address = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    try:
        async with standing(start_sidecar, openai=address) as (sidecar, _):
            async with sidecar.http.post(sidecar.url + OPENAI, json=CHAT) as answer:
                assert answer.status == 502
                assert "certificate" in (await answer.json())["error"]["message"]
    finally:
        server.close()
    assert heard in ([], [b""])


async def test_plain_text_where_tls_was_expected(start_sidecar: StartSidecar) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    async with raw_server(script) as url:
        async with standing(start_sidecar, openai=url.replace("http:", "https:")) as (sidecar, _):
            async with sidecar.http.post(sidecar.url + OPENAI, json=CHAT) as answer:
                assert (answer.status, answer.headers["X-VoiceGW-Error"]) == (502, "upstream_unreachable")


async def test_a_slow_first_byte_is_waited_for_and_timed(start_sidecar: StartSidecar) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await asyncio.sleep(0.4)
        body = b'{"choices":[{"message":{"content":"late"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )

    async with raw_server(script) as url, standing(start_sidecar, openai=url) as (sidecar, _):
        async with sidecar.http.post(sidecar.url + OPENAI, json=CHAT) as answer:
            assert answer.status == 200
        [row] = await sidecar.rows(1)
        assert row.first_ms is not None
        assert row.first_ms > 390


async def test_a_stream_that_falls_silent_is_cut_after_its_idle_limit(start_sidecar: StartSidecar) -> None:
    async with Simulator(quick()) as simulator:
        simulator.fail_next("openai.chat", Failure(FailureKind.HANG, after=3))
        base = simulator.base_url("openai")
        more = f"{PROJECT}providers: {{openai: {{base_url: '{base}', timeouts: {{idle_s: 0.3}}}}}}\n"
        async with start_sidecar(more) as sidecar:
            async with sidecar.http.post(sidecar.url + OPENAI, json={**CHAT, "stream": True}) as answer:
                with pytest.raises(aiohttp.ClientError):
                    async for _ in answer.content.iter_any():
                        pass
            [row] = await sidecar.rows(1)
            assert (row.status, row.error, row.estimated) == ("partial", "connection_broken", True)
            async with sidecar.http.post(sidecar.url + OPENAI, json=CHAT) as answer:
                assert answer.status == 200
            assert sidecar.running.runtime.budgets.open_holds == 0


async def test_one_byte_a_second_holds_up_nobody_and_holds_no_memory(start_sidecar: StartSidecar) -> None:
    """Played at a hundred and fifty bytes a second, so that the whole answer arrives."""
    async with standing(start_sidecar) as (sidecar, simulator):
        simulator.fail_next("openai.chat", Failure(FailureKind.SLOW, bytes_per_s=150.0))
        simulator.script = quick()

        async def slow() -> bytes:
            async with sidecar.http.post(sidecar.url + OPENAI, json=CHAT) as answer:
                pieces = [piece async for piece in answer.content.iter_any()]
            assert len(pieces) > 20
            return b"".join(pieces)

        task = asyncio.get_running_loop().create_task(slow())
        await eventually(lambda: sidecar.running.relay.running == 1)
        await healthy_while(sidecar, task)
        assert ANSWER.encode() in await asyncio.wait_for(task, 30)
        rows = await sidecar.rows(at_least=2)
        assert [row.status for row in rows if row.provider == "openai"] == ["ok"]


async def healthy_while(sidecar: Sidecar, task: asyncio.Task[bytes]) -> None:
    url = f"{sidecar.url}/p/acme/groq/openai/v1/chat/completions"
    async with sidecar.http.post(url, json=CHAT) as answer:
        assert answer.status == 200
    assert not task.done()


async def test_compressed_answers_are_metered_and_pass_as_they_are(start_sidecar: StartSidecar) -> None:
    """The sidecar asks for plain bodies; a provider that compresses all the same is relayed and understood."""
    import gzip

    body = gzip.compress(
        b'{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":9,"completion_tokens":1}}'
    )

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        assert b"accept-encoding: identity" in head.lower()
        lines = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
        )
        writer.write(lines % len(body) + body)

    async with raw_server(script) as url, standing(start_sidecar, openai=url) as (sidecar, _):
        async with aiohttp.ClientSession(auto_decompress=False) as http:
            async with http.post(sidecar.url + OPENAI, json=CHAT) as answer:
                assert (answer.headers["Content-Encoding"], await answer.read()) == ("gzip", body)
        [row] = await sidecar.rows(1)
        assert (row.usage.input_tokens, row.estimated) == (9, False)


async def test_five_mebibyte_frames_pass_both_ways(start_sidecar: StartSidecar) -> None:
    big = bytes(range(256)) * (5 * 4096)

    async def echo(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        peer = aiohttp.web.WebSocketResponse(max_msg_size=0, compress=False)
        await peer.prepare(request)
        async for message in peer:
            await peer.send_bytes(message.data)
        return peer

    app = aiohttp.web.Application()
    app.router.add_get("/v1/listen", echo)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with standing(start_sidecar, deepgram=address) as (sidecar, _):
            async with sidecar.http.ws_connect(sidecar.url + LISTEN, max_msg_size=0) as agent:
                for _ in range(3):
                    await agent.send_bytes(big)
                    assert (await agent.receive_bytes(timeout=20)) == big
            [row] = await sidecar.rows(1)
            assert row.usage.audio_s == pytest.approx(3 * len(big) / 32_000, abs=0.01)
    finally:
        await runner.cleanup()


async def test_a_provider_that_is_half_gone_leaves_the_agent_its_socket_until_the_agent_goes(
    start_sidecar: StartSidecar,
) -> None:
    """No byte comes any more and none is refused: frames of ours would be seen by neither side, so none are sent."""
    async with standing(start_sidecar) as (sidecar, simulator):
        simulator.fail_next("deepgram.listen", Failure(FailureKind.HANG, after=0))
        with pytest.raises((TimeoutError, asyncio.CancelledError)):
            async with asyncio.timeout(0.5):
                await sidecar.http.ws_connect(sidecar.url + LISTEN)
        await eventually(lambda: sidecar.running.relay.running == 0)
        simulator.fail_next("deepgram.listen", Failure(FailureKind.HANG, after=1))
        async with sidecar.http.ws_connect(sidecar.url + LISTEN) as agent:
            for frame in frames(buzz()):
                await agent.send_bytes(frame)
            await agent.receive(timeout=5)
            agent._response.close()  # the agent is gone without a word
        await eventually(lambda: sidecar.running.relay.running == 0)
        [entry, *_] = [e for e in simulator.ledger.entries("deepgram.listen") if e.frames_received]
        await eventually(lambda: entry.hung_up_ns is not None)
        rows = await sidecar.rows(at_least=1)
        assert rows[-1].usage.audio_s is not None


IDLE_SOCKETS = 1000
_IDLE = """
import asyncio, resource, sys
import aiohttp

async def main(url, count):
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        sockets = []
        for start in range(0, count, 50):
            sockets += await asyncio.gather(*(http.ws_connect(url) for _ in range(min(50, count - start))))
        print(len(sockets), flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_a_thousand_idle_sockets_slow_nobody_and_leave_nothing(start_sidecar: StartSidecar) -> None:
    """A process of its own opens them; each costs the sidecar two connections and a bounded amount of memory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4 * IDLE_SOCKETS:
        pytest.skip(f"only {hard} open files are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    async with standing(start_sidecar, quick(tts=Speaking())) as (sidecar, _):
        url = f"{sidecar.url}/p/acme/cartesia/tts/websocket?cartesia_version=2025-04-16"
        before = resident_bytes()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _IDLE, url, str(IDLE_SOCKETS),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdin is not None
        assert int(await asyncio.wait_for(process.stdout.readline(), 40)) == IDLE_SOCKETS
        assert sidecar.running.relay.running == IDLE_SOCKETS
        await healthy(sidecar)
        gc.collect()
        # sidecar and simulator share this process: four ends of connections to a socket
        assert resident_bytes() - before < IDLE_SOCKETS * 400_000
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 20)
        async with asyncio.timeout(20):
            while sidecar.running.relay.running:
                await asyncio.sleep(0.05)
        rows = await sidecar.rows()
        assert {row.provider for row in rows} == {"groq"}
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()

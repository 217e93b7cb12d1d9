"""The relay side by side with no proxy and with nginx, in one run: latency added and CPU spent.

    python tests/benchmarks/bench_relay.py [--requests 4000]

One core runs the proxy, another the load and the provider. CPU is that of the proxy's own process, per unit
of work, so that the load's cost is in no figure; times are ratios and differences within this run only.
Loopback only, bounded in count, ends by itself. Needs nginx on the PATH (Debian package ``nginx``).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import WSMsgType, web

PROXY_CORE, LOAD_CORE = 0, 1
CHAT = b'{"model":"gpt-4.1-mini","messages":[{"role":"user","content":"Where is my order?"}]}'
STREAM = CHAT[:-1] + b',"stream":true,"stream_options":{"include_usage":true}}'
ANSWER = (
    b'{"id":"c","object":"chat.completion","model":"gpt-4.1-mini","choices":[{"index":0,"message":{"role":"assistant",'
    b'"content":"' + b"It left the warehouse this morning. " * 12 + b'"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":12,"completion_tokens":90,"total_tokens":102}}'
)
CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":" word"}}]}\n\n'
LAST = b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":50}}\n\ndata: [DONE]\n\n'
CHUNKS, CHUNK_GAP_S = 50, 0.004
FRAME = b"\x00" * 1600
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream provider {{ server 127.0.0.1:{provider}; keepalive 256; }}
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://provider; proxy_http_version 1.1;
    proxy_buffering off; proxy_set_header Connection $connection_upgrade;
    proxy_set_header Upgrade $http_upgrade; }} }} }}
"""


async def chat(request: web.Request) -> web.StreamResponse:
    if b'"stream":true' not in await request.read():
        return web.Response(body=ANSWER, content_type="application/json")
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await answer.prepare(request)
    for _ in range(CHUNKS):
        await answer.write(CHUNK)
        await asyncio.sleep(CHUNK_GAP_S)
    await answer.write(LAST)
    return answer


async def listen(request: web.Request) -> web.StreamResponse:
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.BINARY:
            await socket.send_str('{"type":"SpeechStarted","timestamp":0.1}')
    return socket


async def read_answer(reader: asyncio.StreamReader) -> float:
    """Read one answer; returns when its first body byte came (monotonic seconds)."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if b"content-length:" in head:
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        return time.perf_counter()
    first = 0.0
    while True:
        size = int((await reader.readuntil(b"\r\n")).strip(), 16)
        first = first or time.perf_counter()
        await reader.readexactly(size + 2)
        if not size:
            return first


def http_request(body: bytes) -> bytes:
    head = f"POST /openai/v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Content-Type: application/json\r\nAuthorization: Bearer k\r\n\r\n" + body


async def load(port: int, body: bytes, count: int, connections: int, gap_s: float) -> list[float]:
    """Send ``count`` requests over ``connections``; returns seconds to each first body byte."""
    times: list[float] = []
    left = count

    async def one() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
            left -= 1
            started = time.perf_counter()
            writer.write(http_request(body))
            times.append(await read_answer(reader) - started)
            if gap_s:
                await asyncio.sleep(gap_s)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return times


async def sockets(port: int, frames: int, count: int) -> list[float]:
    """Hold ``count`` sockets with 50 frames a second each, an answer to each; returns seconds there and back."""
    import aiohttp

    times: list[float] = []
    url = f"http://127.0.0.1:{port}/deepgram/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000"

    async def one(http: aiohttp.ClientSession, number: int) -> None:
        async with http.ws_connect(url, compress=0) as socket:
            await asyncio.sleep(number * 0.02 / count)
            for _ in range(frames):
                started = time.perf_counter()
                await socket.send_bytes(FRAME)
                await socket.receive()
                times.append(time.perf_counter() - started)
                await asyncio.sleep(max(0.0, 0.02 - (time.perf_counter() - started)))

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        await asyncio.gather(*(one(http, number) for number in range(count)))
    return times


def cpu_s(pids: list[int]) -> float:
    """CPU seconds that processes have used, all threads."""
    total = 0.0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def rss_mb(pids: list[int]) -> float:
    """Resident memory of processes."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def children(pid: int) -> list[int]:
    """A process and its children."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(int(child) for child in listed)]


class Proxy:
    """One contender: its name, port, and the processes whose CPU counts (none for direct)."""

    def __init__(self, name: str, port: int, process: subprocess.Popen[str] | None) -> None:
        self.name, self.port, self.process = name, port, process

    @property
    def pids(self) -> list[int]:
        return children(self.process.pid) if self.process else []


def pinned(core: int) -> Callable[[], None]:
    return lambda: os.sched_setaffinity(0, {core})


def start_nginx(folder: Path, provider: int) -> Proxy:
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, provider=provider, port=provider + 1))
    process = subprocess.Popen([binary, "-c", str(config)], preexec_fn=pinned(PROXY_CORE), text=True)
    time.sleep(0.5)
    return Proxy("nginx", provider + 1, process)


def start_sidecar(folder: Path, provider: int) -> Proxy:
    base = f"http://127.0.0.1:{provider}"
    config = folder / "voicegw.yaml"
    config.write_text(
        f"serve: {{port: 0}}\ncost_tracking: {{db_path: {folder}/bench.db}}\n"
        f"providers: {{openai: {{base_url: '{base}/openai'}}, deepgram: {{base_url: '{base}/deepgram'}}}}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "voicegw_sidecar", "serve", "--config", str(config)],
        stdout=subprocess.PIPE, preexec_fn=pinned(PROXY_CORE), text=True,
    )  # fmt: skip
    assert process.stdout is not None
    port = int(process.stdout.readline().rpartition(":")[2])
    time.sleep(0.5)
    return Proxy("sidecar", port, process)


Work = Callable[[int], Awaitable[list[float]]]


async def measure(proxy: Proxy, work: Work, units: int) -> tuple[float, float | None]:
    """Run ``work``; returns its median in ms and the proxy's CPU in microseconds per unit."""
    before = cpu_s(proxy.pids)
    times = await work(proxy.port)
    spent = cpu_s(proxy.pids) - before
    return statistics.median(times) * 1000, spent / units * 1e6 if proxy.process else None


async def compare(requests: int) -> None:
    app = web.Application()
    app.router.add_post("/openai/v1/chat/completions", chat)
    app.router.add_get("/deepgram/v1/listen", listen)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider = runner.addresses[0][1]
    with tempfile.TemporaryDirectory() as folder:
        proxies = [
            Proxy("direct", provider, None),
            start_nginx(Path(folder), provider),
            start_sidecar(Path(folder), provider),
        ]
        try:
            print("idle memory: " + ", ".join(f"{p.name} {rss_mb(p.pids):.0f} MB" for p in proxies if p.process))
            await table(proxies, requests)
            print("memory after: " + ", ".join(f"{p.name} {rss_mb(p.pids):.0f} MB" for p in proxies if p.process))
        finally:
            for proxy in proxies:
                if proxy.process:
                    proxy.process.send_signal(signal.SIGTERM)
                    proxy.process.wait(10)
    await runner.cleanup()


async def table(proxies: list[Proxy], requests: int) -> None:
    streams, frames, held = max(40, requests // 20), max(100, requests // 20), 50
    runs: list[tuple[str, str, Work, int]] = [
        ("JSON, one at a time, 100/s", "request", lambda port: load(port, CHAT, requests // 8, 1, 0.01), requests // 8),
        ("JSON, 16 connections, flat out", "request", lambda port: load(port, CHAT, requests, 16, 0.0), requests),
        (f"SSE, 10 streams of {CHUNKS} chunks, first chunk", "chunk",
         lambda port: load(port, STREAM, streams, 10, 0.0), streams * CHUNKS),
        (f"WebSocket, {held} sockets at 50 frames/s, there and back", "frame",
         lambda port: sockets(port, frames, held), frames * held * 2),
    ]  # fmt: skip
    print(f"{'':58}{'direct':>10}{'nginx':>12}{'sidecar':>12}{'sidecar':>12}")
    print(f"{'':58}{'p50 ms':>10}{'added ms':>12}{'added ms':>12}{'× nginx CPU':>12}")
    for title, unit, work, units in runs:
        for proxy in proxies:
            await work(proxy.port)  # once to warm pools and caches, not counted
        figures = {proxy.name: await measure(proxy, work, units) for proxy in proxies}
        direct = figures["direct"][0]
        nginx_cpu, sidecar_cpu = figures["nginx"][1] or 0.0, figures["sidecar"][1] or 0.0
        ratio = f"{sidecar_cpu / nginx_cpu:.1f}" if nginx_cpu else "–"
        added = [figures[name][0] - direct for name in ("nginx", "sidecar")]
        cpu = f"CPU µs/{unit}: nginx {nginx_cpu:.1f}, sidecar {sidecar_cpu:.1f}"
        print(f"{title:58}{direct:10.2f}{added[0]:12.2f}{added[1]:12.2f}{ratio:>12}   {cpu}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=4000)
    options = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    asyncio.run(compare(options.requests))


if __name__ == "__main__":
    main()

"""What translation costs beside the pass-through, in one run: how long a frame takes through each.

    python tests/benchmarks/bench_unified.py [--seconds 10]

Agents and provider share one core, the sidecar has another. Each frame holds the moment it was sent, so that a
figure is the way of one frame: from the agent to the provider (audio to recognise), or from the provider to the agent
(audio that was spoken, text of an answer). Half of the agents of each line are passed through while the other half is
translated, so that both meet the same machine. Loopback only, bounded in count, ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import msgspec
from aiohttp import WSMsgType, web

PROXY_CORE, LOAD_CORE = 0, 1
AGENTS = 10
"""Of each kind, so twice as many at once."""
FRAME_S = 0.02
STAMP_BYTES = 8
LISTENED = bytes(640 - STAMP_BYTES)  # 20 ms of 16 kHz
SPOKEN = bytes(9600 - STAMP_BYTES)  # 200 ms of 24 kHz, in one message as Cartesia has it
TOKENS = 200

Ways = dict[str, list[float]]


def stamp() -> bytes:
    """The present moment, as a frame holds it."""
    return time.perf_counter_ns().to_bytes(STAMP_BYTES, "little")


def age_us(frame: bytes) -> float:
    """Microseconds since a frame was sent."""
    return (time.perf_counter_ns() - int.from_bytes(frame[:STAMP_BYTES], "little")) / 1000


class Provider:
    """Deepgram, Cartesia and Anthropic, as much of them as is measured; frames are counted by their project."""

    def __init__(self) -> None:
        self.heard_us: Ways = {"passed": [], "translated": []}
        self.seconds = 0.0

    async def listen(self, request: web.Request) -> web.StreamResponse:
        """Take audio and note how old it is."""
        way = "passed" if request.query.get("tag") == "passed" else "translated"
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.BINARY and message.data:
                self.heard_us[way].append(age_us(message.data))
        return socket

    async def speak(self, request: web.Request) -> web.StreamResponse:
        """Speak for as long as the measurement lasts."""
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        async for message in socket:
            asked = msgspec.json.decode(message.data)
            for _ in range(round(self.seconds / FRAME_S)):
                data = base64.b64encode(stamp() + SPOKEN).decode()
                chunk = {"type": "chunk", "context_id": asked["context_id"], "data": data, "done": False,
                         "status_code": 206, "step_time": 1.0}  # fmt: skip
                await socket.send_str(msgspec.json.encode(chunk).decode())
                await asyncio.sleep(FRAME_S)
            break
        return socket

    async def messages(self, request: web.Request) -> web.StreamResponse:
        """Answer with tokens that are moments."""
        await request.read()
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        message = {"id": "m", "model": "claude-haiku-4-5", "usage": {"input_tokens": 9}}
        start = {"type": "message_start", "message": message}
        await answer.write(b"event: message_start\ndata: " + msgspec.json.encode(start) + b"\n\n")
        for _ in range(TOKENS):
            delta = {"type": "content_block_delta", "index": 0,
                     "delta": {"type": "text_delta", "text": f"{time.perf_counter_ns()} "}}  # fmt: skip
            await answer.write(b"event: content_block_delta\ndata: " + msgspec.json.encode(delta) + b"\n\n")
            await asyncio.sleep(FRAME_S)
        end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": TOKENS}}
        await answer.write(b"event: message_delta\ndata: " + msgspec.json.encode(end) + b"\n\n")
        await answer.write(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
        return answer


class Agents:
    """The agents of both ways."""

    def __init__(self, http: aiohttp.ClientSession, base: str, provider: Provider) -> None:
        self._http = http
        self._base = base
        self._provider = provider

    async def listening(self) -> Ways:
        """Audio to recognise: binary frames, and base64 in JSON."""

        async def passed() -> None:
            url = f"{self._base}/deepgram/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000&tag=passed"
            async with self._http.ws_connect(url, compress=0) as socket:
                for _ in range(round(self._provider.seconds / FRAME_S)):
                    await socket.send_bytes(stamp() + LISTENED)
                    await asyncio.sleep(FRAME_S)

        async def translated() -> None:
            async with self._http.ws_connect(f"{self._base}/v1/stt?model=deepgram/nova-3", compress=0) as socket:
                await socket.send_str('{"type":"session.create","settings":{"sample_rate":"16000"}}')
                await socket.receive()
                for _ in range(round(self._provider.seconds / FRAME_S)):
                    audio = base64.b64encode(stamp() + LISTENED).decode()
                    await socket.send_str(f'{{"type":"input_audio","audio":"{audio}"}}')
                    await asyncio.sleep(FRAME_S)

        await _all(passed, translated)
        return self._provider.heard_us

    async def speaking(self) -> Ways:
        """Audio that was spoken: Cartesia's chunks, and LiveKit's ``output_audio``."""
        found: Ways = {"passed": [], "translated": []}

        async def passed() -> None:
            url = f"{self._base}/cartesia/tts/websocket?cartesia_version=2025-04-16"
            async with self._http.ws_connect(url, compress=0) as socket:
                sound = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000}
                asked = {"model_id": "sonic-3", "transcript": "Hello.", "context_id": "c", "output_format": sound}
                await socket.send_str(msgspec.json.encode(asked).decode())
                await _gather(socket, "data", found["passed"])

        async def translated() -> None:
            async with self._http.ws_connect(f"{self._base}/v1/tts?model=cartesia/sonic-3", compress=0) as socket:
                await socket.send_str('{"type":"session.create","sample_rate":"24000"}')
                await socket.send_str('{"type":"input_transcript","transcript":"Hello."}')
                await _gather(socket, "audio", found["translated"])

        await _all(passed, translated)
        return found

    async def chatting(self) -> Ways:
        """Text of an answer: Anthropic's events, and OpenAI's chunks made of them."""
        found: Ways = {"passed": [], "translated": []}
        said = [{"role": "user", "content": "Hello"}]

        async def ask(path: str, model: str, way: str) -> None:
            body = {"model": model, "messages": said, "stream": True, "max_tokens": 500}
            async with self._http.post(self._base + path, json=body) as answer:
                async for line in answer.content:
                    text = line.partition(b'"text":"' if way == "passed" else b'"content":"')[2].partition(b" ")[0]
                    if text.isdigit():
                        found[way].append((time.perf_counter_ns() - int(text)) / 1000)

        await _all(
            lambda: ask("/anthropic/v1/messages", "claude-haiku-4-5", "passed"),
            lambda: ask("/v1/chat/completions", "anthropic/claude-haiku-4-5", "translated"),
        )
        return found


async def _gather(socket: aiohttp.ClientWebSocketResponse, name: str, ages_us: list[float]) -> None:
    async for message in socket:
        told = msgspec.json.decode(message.data)
        if name in told:
            ages_us.append(age_us(base64.b64decode(told[name])))
        if told.get("type") == "error":
            return


async def _all(passed: Callable[[], Awaitable[None]], translated: Callable[[], Awaitable[None]]) -> None:
    """Run both kinds at once, their frames spread over the frame's time."""

    async def later(number: int, one: Callable[[], Awaitable[None]]) -> None:
        await asyncio.sleep(number * FRAME_S / (2 * AGENTS))
        await one()

    kinds = [kind for _ in range(AGENTS) for kind in (passed, translated)]
    await asyncio.gather(*(later(number, kind) for number, kind in enumerate(kinds)))


def start_sidecar(folder: Path, provider: int) -> tuple[subprocess.Popen[str], str]:
    """A sidecar on its own core whose providers are all at one port."""
    config = folder / "voicegw.yaml"
    names = ("deepgram", "cartesia", "anthropic")
    lines = [f"  {name}: {{base_url: 'http://127.0.0.1:{provider}', api_key: key}}" for name in names]
    config.write_text(
        f"serve: {{port: 0}}\ncost_tracking: {{db_path: {folder}/bench.db}}\nproviders:\n" + "\n".join(lines) + "\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "voicegw_sidecar", "serve", "--config", str(config)],
        stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, {PROXY_CORE}), text=True,
    )  # fmt: skip
    assert process.stdout is not None
    return process, process.stdout.readline().rpartition(" ")[2].strip()


async def measure(seconds: float) -> None:
    """Run the three lines and print them."""
    provider = Provider()
    app = web.Application()
    app.router.add_get("/v1/listen", provider.listen)
    app.router.add_get("/tts/websocket", provider.speak)
    app.router.add_post("/v1/messages", provider.messages)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with tempfile.TemporaryDirectory() as folder:
        process, base = start_sidecar(Path(folder), runner.addresses[0][1])
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
                agents = Agents(http, base, provider)
                print("| frame | frames | passed through p50 · p99 µs | translated p50 · p99 µs | added p50 µs |")
                print("| --- | --- | --- | --- | --- |")
                provider.seconds = 1.0
                for work in (agents.listening, agents.speaking):  # once to warm everything, not counted
                    await work()
                provider.heard_us = {"passed": [], "translated": []}
                provider.seconds = seconds
                line("audio to recognise, 20 ms: Deepgram", await agents.listening())
                line("audio spoken, 9.6 kB: Cartesia", await agents.speaking())
                line("a token of an answer: Anthropic", await agents.chatting())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)
    await runner.cleanup()


def line(title: str, found: Ways) -> None:
    """Print one line."""
    figures = {}
    for way, ages_us in found.items():
        cuts = statistics.quantiles(ages_us, n=100)
        figures[way] = (statistics.median(ages_us), cuts[98])
    passed, translated = figures["passed"], figures["translated"]
    cells = [f"{one[0]:.0f} · {one[1]:.0f}" for one in (passed, translated)]
    count = sum(map(len, found.values()))
    print(f"| {title} | {count} | {cells[0]} | {cells[1]} | {translated[0] - passed[0]:.0f} |")


def main() -> None:
    """Pin the load and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    asyncio.run(measure(options.seconds))


if __name__ == "__main__":
    main()

"""The pages over a million exchanges: how soon each of them is there, and what the calls beside them notice of it.

    python tests/benchmarks/bench_pages.py [--exchanges 1000000] [--sessions 20000] [--seconds 20] [--pairs 3]
                                           [--cores 0] [--database FILE] [--only pages|calls|frames]

One core runs the sidecar (``--cores 0,1`` gives it both), another the load and the provider. First every page by
itself, its first byte a number of times. Then calls at a steady rate in phases without and with pages fetched beside
them; each phase has as many calls straight to the provider, so that what the load and the machine add is seen too.
``--database`` keeps the seeded database; every run works on a copy. Loopback only, bounded, ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from statistics import fmean
from typing import cast

import apsw
import uvloop
from aiohttp import web
from msgspec import Struct
from msgspec.structs import replace

from tests.benchmarks.bench_relay import CHAT, chat, children, cpu_s, listen, sockets
from tests.benchmarks.page_database import BUDGET_MS, LIVE, PROJECTS, add_live, seed

LOAD_CORE = 1
FETCHES = 40
LIMIT_MS = 30.0
CALLS_PER_S, PAGES_PER_S = 100, 50
SOCKETS, FRAME_S = 10, 0.02
MOST_LINES = 64
SETTLE_S = 1.0
OTHER_SHARE = 0.06
"""More of a core than the machine's own housekeeping takes."""
_FIRST_ID = "00000000-0000-7000-8000-000000000000"

Talk = tuple[str, str]
"""Project and id of a session."""


class Answer(Struct, frozen=True):
    """What came back, head and body, and how many seconds after it was asked its first byte came."""

    first_s: float
    status: int
    whole: bytes


class Line(asyncio.Protocol):
    """A keep-alive connection, raw, so that little of the load's own time is in a figure."""

    def __init__(self) -> None:
        self._sent_s = self._first_s = 0.0
        self._received = bytearray()
        self._whole: int | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be there."""
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, request: bytes) -> asyncio.Future[Answer]:
        """Send a request; one at a time."""
        assert self._transport is not None
        self._received.clear()
        self._whole, self._first_s = None, 0.0
        self._answer = asyncio.get_running_loop().create_future()
        self._sent_s = time.perf_counter()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        """Take note of the first byte, and of the end."""
        self._first_s = self._first_s or time.perf_counter()
        self._received += data
        if self._whole is None and (end := self._received.find(b"\r\n\r\n")) > 0:
            head = bytes(self._received[:end]).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._whole = end + 4 + int(length) if length else 0
        is_whole = self._received.endswith(b"0\r\n\r\n") if self._whole == 0 else len(self._received) == self._whole
        if is_whole and self._answer is not None and not self._answer.done():
            status = int(self._received[9:12])
            self._answer.set_result(Answer(self._first_s - self._sent_s, status, bytes(self._received)))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("closed before the answer was whole"))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


class Lines:
    """Connections to one port: another is opened while all are in use, so that no request waits for another."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[Line] = []
        self._limit = asyncio.Semaphore(MOST_LINES)

    async def ask(self, request: bytes) -> Answer:
        """Send a request and return what came; connecting is in no figure."""
        async with self._limit:
            if self._free:
                line = self._free.pop()
            else:
                _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", self._port)
            answer = await line.ask(request)
            self._free.append(line)
            return answer

    def close(self) -> None:
        """Hang up everywhere."""
        for line in self._free:
            line.close()


def get(path: str, *, is_part: bool = False) -> bytes:
    """A browser's request of a page, or htmx's of the part of it that changes."""
    part = "HX-Request: true\r\n" if is_part else ""
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\nAccept-Encoding: gzip, deflate\r\n{part}"
    return f"{head}\r\n".encode()


def post(path: str, body: bytes = b"") -> bytes:
    """An agent's request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\nContent-Type: application/json"
    return f"{head}\r\nAuthorization: Bearer k\r\n\r\n".encode() + body


class Known(Struct, frozen=True):
    """What of the database addresses are made of. ``deep`` cursors lie anywhere in its time."""

    live: list[Talk]
    closed: list[Talk]
    deep_sessions: list[str]
    deep_exchanges: list[str]


def known_of(path: Path, live: list[Talk], dice: random.Random) -> Known:
    """Ask the database for some of what is in it."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    rows = connection.execute("SELECT uid, project, id FROM session WHERE ended_ns IS NOT NULL ORDER BY uid").fetchall()
    sessions = dice.sample([(str(uid), str(project), str(id_)) for uid, project, id_ in rows], min(400, len(rows)))
    # ids begin with the time, so that one is somewhere between two others without having to be there
    places = sorted(uid for uid, _, _ in sessions)
    exchanges = [str(found[0]) for uid in places if (found := connection.execute(
        "SELECT id FROM exchange WHERE id >= ? ORDER BY id LIMIT 1", (uid,)).fetchone()) is not None]  # fmt: skip
    connection.close()
    return Known(live, [(project, id_) for _, project, id_ in sessions], places, exchanges)


def pages_of(known: Known) -> list[str]:
    """Return an address of every page, and of each filter that takes another way through the database."""
    project, session = known.closed[0]
    live_project, live = known.live[0]
    deep_session, deep_exchange = known.deep_sessions[40], known.deep_exchanges[40]
    return [
        "/", "/?project=acme", "/?project=umbrella",
        "/sessions", "/sessions?project=acme", "/sessions?outcome=errors", "/sessions?outcome=ok",
        "/sessions?outcome=open", "/sessions?overrun=true", "/sessions?overrun=false",
        "/sessions?project=umbrella&outcome=errors", "/sessions?project=umbrella&overrun=true",
        "/sessions?outcome=errors&overrun=true", "/sessions?outcome=open&overrun=true",
        f"/sessions?before={deep_session}",
        f"/sessions?project=umbrella&outcome=ok&before={deep_session}",
        f"/sessions/{session}?project={project}", f"/sessions/{live}?project={live_project}",
        "/routing", "/routing?sort=p50&order=descending", "/routing?project=umbrella",
        "/projects", "/projects/new", "/projects/acme/brand", "/projects/acme/links",
        "/costs?period=today", "/costs?period=week", "/costs?period=month", "/costs?period=all",
        "/costs?project=umbrella&period=month", "/costs/export.csv?period=month", "/costs/export.csv?period=all",
        "/logs", "/logs?project=umbrella", "/logs?status=ok", "/logs?status=cancelled", "/logs?status=refused",
        "/logs?status=interrupted", "/logs?status=open", "/logs?modality=stt", "/logs?modality=s2s",
        "/logs?project=umbrella&modality=tts", "/logs?project=umbrella&modality=s2s",
        "/logs?project=umbrella&status=refused", "/logs?project=acme&status=interrupted",
        "/logs?modality=llm&status=refused", "/logs?modality=stt&status=refused", "/logs?modality=stt&status=cancelled",
        "/logs?project=default&modality=tts", "/logs?project=umbrella&modality=stt&status=cancelled",
        f"/logs?session={session}", f"/logs?session={live}", "/logs?session=nobody",
        f"/logs?before={deep_exchange}", f"/logs?project=umbrella&modality=tts&before={deep_exchange}",
        f"/logs?before={_FIRST_ID}", "/logs/changes", "/logs/changes?project=umbrella", "/login",
    ]  # fmt: skip


def visits(known: Known, dice: random.Random) -> Iterator[bytes]:
    """What browsers ask for while people look around, most of it by pages that refresh themselves; without end."""
    projects = tuple(PROJECTS)

    def one(path: str) -> str:
        project, session = dice.choice(known.closed)
        live_project, live = dice.choice(known.live)
        return path.format(
            project=dice.choice(projects), closed=f"{session}?project={project}", live=f"{live}?project={live_project}",
            session=session, uid=dice.choice(known.deep_sessions), id=dice.choice(known.deep_exchanges),
            period=dice.choice(("today", "week", "month", "all")), modality=dice.choice(("stt", "llm", "tts")),
            status=dice.choice(("cancelled", "refused", "upstream_error", "partial")),
            outcome=dice.choice(("ok", "errors", "open")), sort=dice.choice(("p50", "p95", "samples")),
        )  # fmt: skip

    polled = ("/", "/?project={project}", "/logs?follow=1", "/logs?follow=1&project={project}", "/sessions")
    visited = (
        "/", "/?project={project}", "/sessions", "/sessions?project={project}", "/sessions?outcome={outcome}",
        "/sessions?before={uid}", "/sessions/{closed}", "/sessions/{closed}", "/sessions/{live}", "/routing",
        "/routing?sort={sort}&order=descending", "/projects", "/costs?period={period}",
        "/costs?project={project}&period={period}", "/logs", "/logs?modality={modality}", "/logs?status={status}",
        "/logs?project={project}&modality={modality}&before={id}", "/logs?session={session}", "/logs/changes",
    )  # fmt: skip
    for path, poll in zip(itertools.cycle(visited), itertools.cycle(polled), strict=False):
        yield get(one(path))
        yield get(one(poll), is_part=True)


class Agents:
    """As many as there are live sessions. They begin new ones between two phases, so that no session grows too long.

    Not within a phase: telling a session's figures as it closes is work of its own, which no page causes.
    """

    def __init__(self, lines: Lines, live: list[Talk], dice: random.Random) -> None:
        self._lines = lines
        self._dice = dice
        self._talks = live

    async def call(self, number: int) -> Answer:
        """Make one call of one of them."""
        project, session = self._talks[number % len(self._talks)]
        return await self._lines.ask(post(f"/p/{project}/s/{session}/openai/v1/chat/completions", CHAT))

    async def begin_anew(self) -> list[Talk]:
        """Close every session and return the names of new ones."""
        for project, session in self._talks:
            await self._lines.ask(post(f"/v1/sessions/{session}/close?project={project}"))
        self._talks = [(project, f"bench-{self._dice.getrandbits(48):012x}") for project, _ in self._talks]
        for number in range(len(self._talks)):
            await self.call(number)
        return self._talks


async def steadily(rate: float, seconds: float, dice: random.Random, one: Callable[[int], Awaitable[object]]) -> None:
    """Start ``one`` at a constant rate whatever became of those before, each at a random place in its slot.

    In step with each other, calls would meet always the same moment of a page, or never one.
    """
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    running = []
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, began_s + (number + dice.random()) / rate - loop.time()))
        running.append(asyncio.ensure_future(one(number)))
    await asyncio.gather(*running)


class Figures(Struct):
    """Seconds of what was measured in one condition, through the sidecar and straight to the provider.

    ``cpu_shares`` and ``other_shares`` are the parts of a core that the sidecar, with the process that draws its pages,
    and other programs took, phase by phase.
    """

    sidecar_s: list[float] = []
    direct_s: list[float] = []
    pages_s: list[float] = []
    cpu_shares: list[float] = []
    other_shares: list[float] = []
    failures: int = 0

    def add(self, phase: Figures) -> None:
        """Take in another phase."""
        for name in ("sidecar_s", "direct_s", "pages_s", "cpu_shares", "other_shares"):
            getattr(self, name).extend(getattr(phase, name))
        self.failures += phase.failures


Work = Callable[[float, Figures], Awaitable[None]]


def machine_s() -> float:
    """CPU seconds that all programs of the machine have used."""
    fields = Path("/proc/stat").read_text().split()
    return sum(map(int, fields[1:4])) / os.sysconf("SC_CLK_TCK")


class Bench:
    """A sidecar under load. Everything is measured in both conditions, phase by phase."""

    def __init__(self, port: int, provider: int, pid: int, known: Known) -> None:
        self.port, self.provider, self._pid = port, provider, pid
        self._dice = random.Random(11)
        self._pages, self._calls, self._straight = Lines(port), Lines(port), Lines(provider)
        self._agents = Agents(self._calls, known.live, self._dice)
        self._known = known
        self._visits = visits(known, self._dice)

    async def alternate(self, seconds: float, pairs: int, work: Work) -> tuple[Figures, Figures]:
        """Run ``work`` without and with pages beside it, in turn.

        Two phases beside which other programs were busy are not counted and done again, twice as often at most.
        """
        idle, busy = Figures(), Figures()
        done = 0
        for tried in range(2 * pairs):
            quiet, paged = await self._phase(seconds, work), await self._phase(seconds, work, with_pages=True)
            is_disturbed = max(*quiet.other_shares, *paged.other_shares) > OTHER_SHARE
            if is_disturbed and pairs - done < 2 * pairs - tried:
                continue
            idle.add(quiet)
            busy.add(paged)
            done += 1
            if done == pairs:
                break
        return idle, busy

    async def _phase(self, seconds: float, work: Work, *, with_pages: bool = False) -> Figures:
        figures = Figures()
        self._visits = visits(replace(self._known, live=await self._agents.begin_anew()), self._dice)
        await asyncio.sleep(SETTLE_S)
        gc.collect()
        gc.disable()
        sidecar, began_s = children(self._pid), time.perf_counter()
        ours = [*sidecar, os.getpid()]
        sidecar_s, ours_s, all_s = cpu_s(sidecar), cpu_s(ours), machine_s()
        await asyncio.gather(work(seconds, figures), *([self._fetch(seconds, figures)] if with_pages else []))
        took_s = time.perf_counter() - began_s
        figures.cpu_shares.append((cpu_s(sidecar) - sidecar_s) / took_s)
        figures.other_shares.append(max(0.0, machine_s() - all_s - (cpu_s(ours) - ours_s)) / took_s)
        gc.enable()
        return figures

    async def calls(self, seconds: float, figures: Figures) -> None:
        """JSON calls through the sidecar, and as many straight to the provider."""

        async def through(number: int) -> None:
            answer = await self._agents.call(number)
            figures.sidecar_s.append(answer.first_s)
            figures.failures += answer.status != 200

        async def straight(number: int) -> None:
            answer = await self._straight.ask(post("/openai/v1/chat/completions", CHAT))
            figures.direct_s.append(answer.first_s)

        await asyncio.gather(
            steadily(CALLS_PER_S, seconds, self._dice, through), steadily(CALLS_PER_S, seconds, self._dice, straight)
        )

    async def frames(self, seconds: float, figures: Figures) -> None:
        """Frames of sockets, there and back, through the sidecar and straight to the provider."""
        count = round(seconds / FRAME_S)
        through, straight = await asyncio.gather(
            sockets(self.port, count, SOCKETS), sockets(self.provider, count, SOCKETS)
        )
        figures.sidecar_s += through
        figures.direct_s += straight

    async def _fetch(self, seconds: float, figures: Figures) -> None:
        async def visit(number: int) -> None:
            answer = await self._pages.ask(next(self._visits))
            figures.pages_s.append(answer.first_s)
            figures.failures += answer.status != 200

        await steadily(PAGES_PER_S, seconds, self._dice, visit)

    def close(self) -> None:
        """Hang up everywhere."""
        for lines in (self._pages, self._calls, self._straight):
            lines.close()


def at_share(values_s: list[float], share: float) -> float:
    """Return a quantile in milliseconds, nearest rank."""
    ordered = sorted(values_s)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


async def each_page(port: int, known: Known) -> None:
    """Fetch every page by itself, one after the other on one connection, and print how soon it began to come."""
    print(
        f"\n| page, {FETCHES} fetches each | p50 ms | p95 ms | max ms | kB | |\n| --- | --: | --: | --: | --: | --- |"
    )
    lines = Lines(port)
    slow = 0
    for path in pages_of(known):
        answers = [await lines.ask(get(path)) for _ in range(FETCHES)]
        times_s = [answer.first_s for answer in answers]
        p50_ms = at_share(times_s, 0.5)
        marks = [f"over {LIMIT_MS:.0f}"] if p50_ms > LIMIT_MS else []
        marks += [f"status {answers[0].status}"] if answers[0].status != 200 else []
        slow += p50_ms > LIMIT_MS
        print(
            f"| {path} | {p50_ms:.1f} | {at_share(times_s, 0.95):.1f} | {max(times_s) * 1000:.1f} "
            f"| {len(answers[0].whole) / 1000:.0f} | {', '.join(marks)} |"
        )
    lines.close()
    print(f"\n{slow} pages over {LIMIT_MS:.0f} ms at the median")


def compare(title: str, idle: Figures, busy: Figures) -> None:
    """Print one kind of work in both conditions."""
    shares = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999))
    print(f"\n| {title} | count | {' | '.join(f'{name} ms' for name, _ in shares)} | sidecar's, others' CPU |")
    print("| --- | --: | --: | --: | --: | --: | --- |")
    for name, figures in (("idle", idle), ("with pages", busy)):
        cpu = f"{fmean(figures.cpu_shares):.0%}, {fmean(figures.other_shares):.0%}"
        for way, values_s, used in (("sidecar", figures.sidecar_s, cpu), ("straight", figures.direct_s, "")):
            cells = " | ".join(f"{at_share(values_s, share):.2f}" for _, share in shares)
            print(f"| {name}, {way} | {len(values_s)} | {cells} | {used} |")
    added = [at_share(busy.sidecar_s, share) - at_share(idle.sidecar_s, share) for _, share in shares]
    noise = [at_share(busy.direct_s, share) - at_share(idle.direct_s, share) for _, share in shares]
    for name, values_ms in (("pages add, sidecar", added), ("pages add, straight", noise)):
        print(f"| {name} | | {' | '.join(f'{value:+.2f}' for value in values_ms)} | |")
    rate = len(busy.pages_s) / len(busy.cpu_shares)
    print(
        f"\n{rate:.0f} pages a phase, their first byte p50 {at_share(busy.pages_s, 0.5):.1f} ms, "
        f"p95 {at_share(busy.pages_s, 0.95):.1f} ms; answers other than 200: {idle.failures + busy.failures}"
    )


CONFIG = """
serve: {{port: 0}}
cost_tracking: {{db_path: {database}}}
sessions: {{idle_seconds: 3600}}
logging: {{level: warning}}
providers:
  openai: {{base_url: 'http://127.0.0.1:{provider}/openai', api_key: k}}
  deepgram: {{base_url: 'http://127.0.0.1:{provider}/deepgram', api_key: k}}
projects:
"""
_PROJECT = """  {name}:
    name: {title}
    daily_budget: {budget}
    tags: [{name}]
    routing:
      budget_ms: {budget_ms}
      rosters:
        stt: [deepgram/nova-3, assemblyai/universal-streaming]
        llm: [openai/gpt-4.1-mini, groq/llama-3.3-70b-versatile, anthropic/claude-haiku-4-5]
        tts: [cartesia/sonic-3, elevenlabs/eleven_flash_v2_5]
"""


@asynccontextmanager
async def sidecar(folder: Path, provider: int, cores: set[int]) -> AsyncIterator[tuple[int, int]]:
    """Run a sidecar on the database of ``folder``; yields its port and process id."""
    config = folder / "voicegw.yaml"
    text = CONFIG.format(database=folder / "bench.db", provider=provider)
    for number, name in enumerate(PROJECTS):
        text += _PROJECT.format(name=name, title=name.title(), budget=200 * (number + 1), budget_ms=BUDGET_MS)
    config.write_text(text)
    process = subprocess.Popen(
        [sys.executable, "-m", "voicegw_sidecar", "serve", "--config", str(config)],
        stdout=subprocess.PIPE, preexec_fn=lambda: os.sched_setaffinity(0, cores), text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline().rpartition(":")[2]), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()


@asynccontextmanager
async def provider_running() -> AsyncIterator[int]:
    """Run the provider in this process; yields its port."""
    app = web.Application()
    app.router.add_post("/openai/v1/chat/completions", chat)
    app.router.add_get("/deepgram/v1/listen", listen)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield int(runner.addresses[0][1])
    await runner.cleanup()


def prepare(options: argparse.Namespace, folder: Path) -> Known:
    """Put a database into ``folder``: seeded now, or a copy of one that was; with conversations under way."""
    kept: Path = options.database or folder / "seeded.db"
    began_s = time.perf_counter()
    if not kept.exists():
        seed(kept, options.exchanges, options.sessions, time.time_ns())
        print(f"seeded in {time.perf_counter() - began_s:.0f} s")
    shutil.copyfile(kept, folder / "bench.db")
    live = add_live(folder / "bench.db", time.time_ns())
    connection = apsw.Connection(str(folder / "bench.db"), flags=apsw.SQLITE_OPEN_READONLY)
    for table in ("exchange", "session", "turn", "membership", "daily_total"):
        ((count,),) = connection.execute(f"SELECT count(*) FROM {table}")
        print(f"{table}: {count}", end="; ")
    connection.close()
    print(f"{(folder / 'bench.db').stat().st_size / 1e6:.0f} MB, {LIVE} sessions open")
    return known_of(folder / "bench.db", live, random.Random(3))


async def measure(options: argparse.Namespace) -> None:
    """Run what was asked for and print it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = prepare(options, folder)
        async with provider_running() as provider, sidecar(folder, provider, options.cores) as (port, pid):
            await rolled_up(port)
            if options.only in (None, "pages"):
                await each_page(port, known)
            bench = Bench(port, provider, pid, known)
            await bench.alternate(2.0, 1, bench.calls)  # once to warm pools and caches, not counted
            if options.only in (None, "calls"):
                title = f"JSON calls, {CALLS_PER_S}/s, first byte; {PAGES_PER_S} pages/s"
                compare(title, *await bench.alternate(options.seconds, options.pairs, bench.calls))
            if options.only in (None, "frames"):
                title = f"frames of {SOCKETS} sockets at {1 / FRAME_S:.0f}/s, there and back; {PAGES_PER_S} pages/s"
                compare(title, *await bench.alternate(options.seconds, options.pairs, bench.frames))
            bench.close()


async def rolled_up(port: int) -> None:
    """Wait until the sidecar has rolled up the last day's latencies, as it does at its start."""
    lines = Lines(port)
    for _ in range(100):
        if b"Observed in the" in (await lines.ask(get("/routing?project=umbrella"))).whole:
            break
        await asyncio.sleep(0.2)
    lines.close()


def main() -> None:
    """Pin the load and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--exchanges", type=int, default=1_000_000)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each phase")
    parser.add_argument("--pairs", type=int, default=3, help="phases without and with pages")
    parser.add_argument("--cores", type=lambda text: {int(core) for core in text.split(",")}, default={0})
    parser.add_argument("--database", type=Path, help="the seeded database: made if it is not there, and kept")
    parser.add_argument("--only", choices=("pages", "calls", "frames"))
    options = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(options))


if __name__ == "__main__":
    main()

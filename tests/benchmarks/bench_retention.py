"""What calls lose while old rows are removed from a large database, and how long one batch takes the writer.

    python -m tests.benchmarks.bench_retention [--database FILE] [--seconds 10] [--pairs 3]

A sidecar is started in turn with nothing to remove and with almost everything, on the database of ``bench_pages.py``,
and called 100 times a second. One core runs the sidecar, another the load and the provider. Loopback only, bounded in
count and time, ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import tempfile
import time
from pathlib import Path

import apsw
import uvloop
from msgspec import Struct

from tests.benchmarks import bench_pages
from tests.benchmarks.bench_pages import CALLS_PER_S, CHAT, LOAD_CORE, Lines, at_share, post, provider_running, sidecar
from tests.benchmarks.page_database import seed
from voicegw_sidecar.operating.retention import BATCH_ROWS
from voicegw_sidecar.store.queries.retention import expired_exchanges
from voicegw_sidecar.store.retention_records import forget_exchanges

KEEP, REMOVE = 36_500, 1


class Run(Struct):
    """First bytes of calls in one condition, and how many rows went meanwhile."""

    first_s: list[float] = []
    removed: int = 0


def count(database: Path) -> int:
    """Count the exchanges."""
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return int(str(connection.execute("SELECT count(*) FROM exchange").fetchall()[0][0]))
    finally:
        connection.close()


async def calls(folder: Path, provider: int, days: int, seconds: float, run: Run) -> None:
    """Start a sidecar that keeps rows for so many days, and call it."""
    template = bench_pages.CONFIG
    bench_pages.CONFIG = f"{template.replace('projects:', '')}storage: {{{{retention_days: {days}}}}}\nprojects:\n"
    try:
        async with sidecar(folder, provider, {0}) as (port, _):
            lines, dice = Lines(port), random.Random(5)

            async def one(number: int) -> None:
                answer = await lines.ask(post(f"/p/acme/s/bench-{number % 20}/openai/v1/chat/completions", CHAT))
                assert answer.status == 200
                run.first_s.append(answer.first_s)

            await bench_pages.steadily(CALLS_PER_S, 3, dice, one)  # pools and caches are warm, the roll-up is through
            run.first_s.clear()
            before = count(folder / "bench.db")
            await bench_pages.steadily(CALLS_PER_S, seconds, dice, one)
            run.removed = max(0, before + len(run.first_s) - count(folder / "bench.db"))
            lines.close()
    finally:
        bench_pages.CONFIG = template


def measure_batch(database: Path) -> None:
    """Print how long one batch takes on the writer's connection, commit included."""
    connection = apsw.Connection(str(database))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "normal")
    took_s, last = list[float](), ""
    for _ in range(200):
        found = expired_exchanges(connection, last, "~", BATCH_ROWS)
        last = found.last or ""
        begun_s = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        for statement, values in forget_exchanges(found.ids):
            connection.execute(statement, values)
        connection.execute("COMMIT")
        took_s.append(time.perf_counter() - begun_s)
    connection.close()
    print(f"\na batch of {BATCH_ROWS} rows: p50 {at_share(took_s, 0.5):.2f} ms, p99 {at_share(took_s, 0.99):.2f} ms")


async def measure(options: argparse.Namespace) -> None:
    """Run both conditions in turn, and print them."""
    kept, removing = Run(), Run()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source: Path = options.database or folder / "seeded.db"
        if not source.exists():
            seed(source, 1_000_000, 20_000, time.time_ns())
        shutil.copyfile(source, folder / "bench.db")
        async with provider_running() as provider:
            for _ in range(options.pairs):
                for days, run in ((KEEP, kept), (REMOVE, removing)):
                    phase = Run()
                    await calls(folder, provider, days, options.seconds, phase)
                    run.first_s += phase.first_s
                    run.removed += phase.removed
        measure_batch(folder / "bench.db")
    print("\n| calls at 100/s, first byte | calls | rows removed | p50 ms | p95 ms | p99 ms | p99.9 ms |")
    print("|---|--:|--:|--:|--:|--:|--:|")
    for title, run in (("nothing to remove", kept), ("while rows are removed", removing)):
        figures = " | ".join(f"{at_share(run.first_s, share):.2f}" for share in (0.5, 0.95, 0.99, 0.999))
        print(f"| {title} | {len(run.first_s)} | {run.removed} | {figures} |")


def main() -> None:
    """Pin the load and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--database", type=Path, help="the seeded database of bench_pages.py; it is copied")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each phase")
    parser.add_argument("--pairs", type=int, default=3, help="phases without and with removal")
    options = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(options))


if __name__ == "__main__":
    main()

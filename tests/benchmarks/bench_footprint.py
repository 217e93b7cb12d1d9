"""What a sidecar takes of a machine: size, start, memory at rest, with live sessions, and after them.

    python tests/benchmarks/bench_footprint.py [COMMAND ...] [--sessions 50] [--seconds 30] [--starts 15]

COMMAND is ``dist/voicegw-sidecar`` for the executable; without one it is this interpreter's ``-m voicegw_sidecar``.
The sessions are scripted agents: each listens on a socket of its own, asks and speaks, all the time. Memory is that of
every process of the command together: ``Pss``, which counts what processes share once, and ``VmRSS`` of the largest.
Loopback only, bounded in count and time, ends by itself; the load and the providers run in this process.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
from msgspec import Struct

from voicegw_sidecar.simulator import Script, Simulator
from voicegw_sidecar.simulator.agents import Conduct, run_agents, sidecar_address

PROVIDERS = ("openai", "deepgram", "cartesia")
ADDRESS = re.compile(rb"http://127\.0\.0\.1:\d+")


class Memory(Struct, frozen=True):
    """Memory of a command's processes, in megabytes of 1 000 000 bytes."""

    pss_mb: float
    largest_rss_mb: float
    processes: int

    def __str__(self) -> str:
        largest = f"{self.largest_rss_mb:5.1f} MB VmRSS of the largest"
        return f"{self.pss_mb:6.1f} MB Pss of {self.processes} processes, {largest}"


def group_memory(group: int) -> Memory:
    """Add up the processes of a session, which ``start_new_session`` made."""
    pss_kb, rss_kb = list[int](), list[int]()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(folder.name)) != group:
                continue
            pss_kb.append(_field(folder / "smaps_rollup", "Pss"))
            rss_kb.append(_field(folder / "status", "VmRSS"))
        except (OSError, ProcessLookupError):
            continue
    return Memory(sum(pss_kb) * 1.024e-3, max(rss_kb) * 1.024e-3, len(pss_kb))


def _field(path: Path, name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+) kB", path.read_text(), re.MULTILINE)
    return int(match.group(1)) if match else 0


@contextmanager
def serving(command: list[str], config: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, float]]:
    """Run ``serve``; yields the process, its address, and the seconds until it answered."""
    begun_s = time.perf_counter()
    process = subprocess.Popen(
        [*command, "serve", "--config", str(config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        found = ADDRESS.search(process.stdout.readline())
        assert found is not None
        _ask(found.group().decode())
        yield process, found.group().decode(), time.perf_counter() - begun_s
    finally:
        process.terminate()
        process.wait(20)


def _ask(address: str) -> None:
    import http.client

    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200
    connection.close()


def configured(folder: Path, simulator: Simulator | None) -> Path:
    """Write a configuration whose providers are the simulator's."""
    config = folder / "voicegw.yaml"
    lines = [
        f"cost_tracking: {{db_path: {folder / 'voicegw.db'}}}",
        "serve: {port: 0, drain_seconds: 0}",
        "projects: {acme: {}}",
    ]
    if simulator is not None:
        lines.append("providers:")
        lines += [f"  {name}: {{base_url: '{simulator.base_url(name)}'}}" for name in PROVIDERS]
    config.write_text("\n".join(lines) + "\n")
    return config


def measure_start(command: list[str], starts: int) -> None:
    """Print how long the command takes to say its version, and to answer for the first time."""
    version_s, first_s = list[float](), list[float]()
    for _ in range(starts):
        begun_s = time.perf_counter()
        subprocess.run([*command, "--version"], check=True, stdout=subprocess.DEVNULL)
        version_s.append(time.perf_counter() - begun_s)
        with (
            tempfile.TemporaryDirectory() as folder,
            serving(command, configured(Path(folder), None)) as (_, _, took_s),
        ):
            first_s.append(took_s)
    for name, found_s in (("--version", version_s), ("first 200", first_s)):
        print(
            f"{name}: best {1000 * min(found_s):.0f} ms, median {1000 * statistics.median(found_s):.0f} ms of {starts}"
        )


async def measure_memory(command: list[str], sessions: int, seconds: float) -> None:
    """Print the memory at rest, with so many live sessions, and after they have ended."""
    async with Simulator(Script()) as simulator:
        with (
            tempfile.TemporaryDirectory() as folder,
            serving(command, configured(Path(folder), simulator)) as (process, url, _),
        ):
            await asyncio.sleep(3)
            print(f"at rest:             {group_memory(process.pid)}")
            stop = asyncio.Event()
            conduct = Conduct(turns=(1000, 1000))  # each agent stays in its session
            talk = asyncio.ensure_future(
                run_agents(sidecar_address(url), projects=("acme",), count=sessions, stop=stop, conduct=conduct)
            )
            await asyncio.sleep(seconds)
            async with aiohttp.ClientSession() as http, http.get(f"{url}/metrics") as response:
                text = await response.text()
            live = re.search(r'^voicegw_sessions_open\{project="acme"\} (\S+)', text, re.MULTILINE)
            print(f"with {live.group(1) if live else '?'} live sessions: {group_memory(process.pid)}")
            stop.set()
            talk.cancel()
            await asyncio.gather(talk, return_exceptions=True)
            await asyncio.sleep(3)
            print(f"after them:          {group_memory(process.pid)}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", nargs="*", default=[sys.executable, "-m", "voicegw_sidecar"])
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--starts", type=int, default=15)
    options = parser.parse_args()
    found = shutil.which(options.command[0])
    if len(options.command) == 1 and found:
        print(f"size: {os.stat(found).st_size / 1e6:.2f} MB")
    if options.starts:
        measure_start(options.command, options.starts)
    if options.sessions:
        asyncio.run(measure_memory(options.command, options.sessions, options.seconds))


if __name__ == "__main__":
    main()

"""``python -m voicegw_sidecar.simulator [--port N]``: the simulated providers as a process of their own.

Prints one JSON line with the port once it listens and runs until SIGTERM or SIGINT.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import msgspec

from voicegw_sidecar.simulator.server import Simulator


async def _run(port: int) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with Simulator(port=port) as simulator:
        sys.stdout.write(msgspec.json.encode({"port": simulator.port}).decode() + "\n")
        sys.stdout.flush()
        await stopped.wait()


def _port(arguments: list[str]) -> int:
    match arguments:
        case []:
            return 0
        case ["--port", number] if number.isdigit():
            return int(number)
        case _:
            sys.exit("usage: python -m voicegw_sidecar.simulator [--port N]")


if __name__ == "__main__":
    asyncio.run(_run(_port(sys.argv[1:])))

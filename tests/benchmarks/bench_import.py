"""What importing the agents' side costs an agent: a fresh interpreter each time, beside one that imports nothing.

    python tests/benchmarks/bench_import.py [--rounds 30]

Takes turns between the statements, so that a busy moment of the machine meets all of them. Ends by itself.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

STATEMENTS = {
    "nothing": "pass",
    "inference": "from voicegw_sidecar import inference",
    "asyncio, which every agent has": "import asyncio",
}
_IMPORT = "import time; begun = time.perf_counter_ns(); {statement}; print(time.perf_counter_ns() - begun)"


def run(statement: str) -> tuple[float, float]:
    """Return milliseconds of the statement itself, and of the whole process."""
    begun_s = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT.format(statement=statement)], check=True, capture_output=True, text=True
    )
    return int(done.stdout) / 1e6, (time.perf_counter() - begun_s) * 1e3


def main() -> None:
    """Print best and median of each statement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="fresh interpreters for each statement; 30 by default")
    rounds = parser.parse_args().rounds
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in STATEMENTS}
    for _ in range(rounds):
        for name, statement in STATEMENTS.items():
            taken[name].append(run(statement))
    for name, pairs in taken.items():
        own, whole = ([pair[index] for pair in pairs] for index in (0, 1))
        print(
            f"{name:32} statement {min(own):6.1f} ms best, {statistics.median(own):6.1f} median;"
            f" process {min(whole):6.1f} best, {statistics.median(whole):6.1f} median"
        )


if __name__ == "__main__":
    main()

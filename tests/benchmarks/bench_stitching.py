"""How many calls of agents that say nothing end up in the right session.

Run it: ``python tests/benchmarks/bench_stitching.py``. 50 conversations at once in one process, with known truth, from
a seed; see ``stitching_trace.py`` for what is in them.
``--markdown`` prints the table as it stands in docs/sessions.md; ``--live`` asks the same over real sockets.
Also measures what finding out costs.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import replace

from tests.benchmarks.stitching_live import live
from tests.benchmarks.stitching_trace import Score, Shape, World

SEEDS = range(10)
ROWS = (
    ("each agent its own connections", Shape(connections="own")),
    ("a new connection for every call", Shape(connections="fresh")),
    ("all share eight connections for LLM and TTS", Shape(connections="shared")),
    ("LLM requests named, as in a LiveKit job", Shape(connections="own", names="llm")),
)


def play(shape: Shape, seeds: range) -> tuple[Score, float]:
    """Return what all seeds come to, and the microseconds an exchange cost."""
    total, spent_s = Score(), 0.0
    worst = 1.0
    for seed in seeds:
        world = World(shape, seed)
        began_s = time.perf_counter()
        score = world.play().score()
        spent_s += time.perf_counter() - began_s
        worst = min(worst, score.right_share)
        for name in Score.__dataclass_fields__:
            setattr(total, name, getattr(total, name) + getattr(score, name))
    return total, spent_s / total.exchanges * 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--live", action="store_true", help="over real sockets, in real time: a minute or two")
    options = parser.parse_args()
    if options.live:
        score = asyncio.run(live(options.sessions, turns=8, seed=0))
        print(
            f"{score.exchanges} exchanges of {score.conversations} agents: {score.right_share:.2%} right, "
            f"{score.wrong} in another session, {score.nowhere} in none, {score.wrong_project} in another project"
        )
        return
    headings = ("agents", "exchanges", "right", "another session", "none", "another project", "µs an exchange")
    rows = [headings]
    for words, shape in ROWS:
        score, cost_us = play(replace(shape, sessions=options.sessions), SEEDS)
        rows.append((
            words, f"{score.exchanges}", f"{score.right_share:.2%}", f"{score.wrong}", f"{score.nowhere}",
            f"{score.wrong_project}", f"{cost_us:.0f}",
        ))  # fmt: skip
    if options.markdown:
        rows.insert(1, ("---", *("---:",) * (len(headings) - 1)))
        for row in rows:
            print(f"| {' | '.join(row)} |")
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(headings))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()

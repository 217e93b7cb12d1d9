"""Which routing policy chooses best while latencies drift: a simulation of 10 000 sessions against an oracle.

    python tests/benchmarks/bench_routing.py [--sessions 10000] [--seeds 5] [--scenario mixed] [--parts] [--markdown]
    python tests/benchmarks/bench_routing.py --trace FILE

``routing_trace.py`` says how latencies drift and what ``FILE`` looks like, ``routing_run.py`` what is counted.
Everything follows from the seeds: the same command prints the same table. Nothing is timed.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, pstdev

from msgspec import Struct

from tests.benchmarks.routing_run import CONTENDERS, Figures, run, world
from tests.benchmarks.routing_trace import SCENARIOS, generated, read_trace, sessions

DAYS = 5
RULE = "median"
PLAYED = (RULE, "adaptive", "oracle")
HEADS = ("scenario", "policy", "error ms", "regret ms", "worst ms", "regret %", "less regret", "over budget %",
         "p95 ms", "switches", "explored %")  # fmt: skip


class Job(Struct, frozen=True):
    """One trace with one set of sessions; ``trace`` names a file that is read instead of a scenario."""

    name: str
    seed: int
    sessions: int
    budget_ms: int
    policies: tuple[str, ...]
    trace: Path | None = None


def play(job: Job) -> dict[str, Figures]:
    """Let every policy meet the same trace and the same sessions."""
    if job.trace is not None:
        trace = read_trace(job.trace)
    else:
        trace = generated(next(one for one in SCENARIOS if one.name == job.name), job.seed, DAYS)
    meets = world(trace, sessions(job.sessions, trace.minutes, job.seed), job.budget_ms)
    return {policy: run(meets, CONTENDERS[policy](meets)) for policy in job.policies}


def rows(name: str, played: list[dict[str, Figures]]) -> Iterable[tuple[str, ...]]:
    """Yield a policy's line: means over the seeds, and in how many of them its regret was less than the rule's."""
    for policy in played[0]:
        figures = [one[policy] for one in played]
        regrets_ms = [one.regret_ms for one in figures]
        less = sum(one[policy].regret_ms < one[RULE].regret_ms for one in played)
        yield (
            name,
            policy,
            f"{fmean(one.error_ms for one in figures):.0f}",
            f"{fmean(regrets_ms):.1f} ± {pstdev(regrets_ms):.1f}",
            f"{max(regrets_ms):.1f}",
            f"{100 * fmean(one.regret_share for one in figures):.1f}",
            "" if policy == RULE else f"{less} of {len(played)}",
            f"{100 * fmean(one.over_budget_share for one in figures):.2f}",
            f"{fmean(one.p95_ms for one in figures):.0f}",
            f"{fmean(one.switches for one in figures):.0f}",
            f"{100 * fmean(one.explored_share for one in figures):.1f}",
        )


def table(lines: list[tuple[str, ...]], *, is_markdown: bool) -> str:
    """Return the lines below their heads, for a terminal or for docs/routing.md."""
    if is_markdown:
        return "\n".join(f"| {' | '.join(cells)} |" for cells in (HEADS, ("---",) * len(HEADS), *lines))
    widths = [max(map(len, column)) for column in zip(HEADS, *lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        for cells in (HEADS, *lines)
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--budget-ms", type=int, default=1200)
    parser.add_argument("--scenario", action="append", choices=[one.name for one in SCENARIOS])
    parser.add_argument("--trace", type=Path, help="a CSV file: minute,modality,provider,level_ms,sigma")
    parser.add_argument("--parts", action="store_true", help="also the adaptive policy's parts, one by one")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    names = ["trace"] if options.trace else options.scenario or [one.name for one in SCENARIOS]
    policies = tuple(CONTENDERS) if options.parts else PLAYED
    jobs = [
        Job(name, seed, options.sessions, options.budget_ms, policies, options.trace)
        for name in names
        for seed in range(options.seeds)
    ]
    try:
        with multiprocessing.Pool() as pool:
            played = pool.map(play, jobs, chunksize=1)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    lines = [
        line
        for name in names
        for line in rows(name, [one for one, job in zip(played, jobs, strict=True) if job.name == name])
    ]
    print(table(lines, is_markdown=options.markdown))


if __name__ == "__main__":
    main()

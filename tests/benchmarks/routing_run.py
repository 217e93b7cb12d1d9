"""One trace, many sessions, one policy: what the router would have chosen, and what that would have cost.

What sessions did not choose is not observed. The rule of the contract and the adaptive policy are the product's
own code; only the clock is simulated, and the roll-up's reading of the database.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from statistics import fmean, median
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from tests.benchmarks.routing_trace import Key, Session, Trace
from voicegw_sidecar.routing.latency import POOLED, WINDOW_NS, Latencies, Observed, quantile
from voicegw_sidecar.routing.policy import explore
from voicegw_sidecar.routing.router import Decision, Wish, choose
from voicegw_sidecar.routing.window import Window
from voicegw_sidecar.terms import ROUTED, Modality, RosterEntry

MIN_NS = 60 * 10**9
ROLL_UP_MIN = 15
_TAIL_WEIGHT = 0.2  # of the distance from p50 to p95, for the contender that looks at the tail


class World(Struct):
    """What every policy meets alike. ``events`` are a session's start (turn -1) and its turns' ends, by time."""

    trace: Trace
    sessions: list[Session]
    wish: Wish
    events: list[tuple[float, int, int]]
    best: list[dict[Modality, str]]
    """For each hour the providers with the smallest mean level."""


class Figures(Struct):
    """How a policy did. Milliseconds of a turn: the sum of its three legs; shares are 0..1."""

    error_ms: float
    """Mean distance of a session's prediction from the median of its turns."""
    regret_ms: float
    """Mean true level of what was chosen, minus that of the hour's best, at the minutes of the turns."""
    regret_share: float
    over_budget_share: float
    """Share of sessions whose median turn is over the latency budget."""
    p95_ms: float
    """Of all turns."""
    switches: int
    """How often a session got another triple than the one before, explored ones apart."""
    explored_share: float


class Contender(Protocol):
    """A policy as the simulation drives it; times are minutes from the start of the trace."""

    def start(self, at_min: float, draw: float) -> Decision: ...

    def note(self, key: Key, first_ms: float, at_min: float) -> None: ...


def world(trace: Trace, sessions: list[Session], budget_ms: int) -> World:
    """Join a trace and its sessions."""
    rosters = {
        modality: tuple(RosterEntry(provider) for own, provider in trace.series if own is modality)
        for modality in ROUTED
    }
    events = [(one.start_min, number, -1) for number, one in enumerate(sessions)]
    events += [(at, number, turn) for number, one in enumerate(sessions) for turn, at in enumerate(one.turns_min)]
    best = [
        {
            modality: min(roster, key=lambda one: fmean(_hour(trace, (modality, one.provider), hour))).provider
            for modality, roster in rosters.items()
        }
        for hour in range(math.ceil(trace.minutes / 60))
    ]
    return World(trace, sessions, Wish("simulated", rosters, budget_ms), sorted(events), best)


def _hour(trace: Trace, key: Key, hour: int) -> array[float]:
    return trace.series[key].level_ms[hour * 60 : hour * 60 + 60]


class Median:
    """The contract's rule: the day's median, as of the last roll-up."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._latencies = Latencies({}, world.trace.baselines)
        self._by_time: dict[Key, deque[tuple[float, float]]] = {key: deque() for key in world.trace.series}
        self._ordered: dict[Key, list[float]] = {key: [] for key in world.trace.series}
        self._next_min = 0.0

    def start(self, at_min: float, draw: float) -> Decision:
        if at_min >= self._next_min:
            self._next_min = at_min - at_min % ROLL_UP_MIN + ROLL_UP_MIN
            self._roll_up(self._next_min - ROLL_UP_MIN - WINDOW_NS / MIN_NS)
        return choose(self._world.wish, self._latencies)

    def note(self, key: Key, first_ms: float, at_min: float) -> None:
        self._by_time[key].append((at_min, first_ms))
        insort(self._ordered[key], first_ms)

    def _roll_up(self, from_min: float) -> None:
        observed = {}
        for (modality, provider), ordered in self._ordered.items():
            by_time = self._by_time[modality, provider]
            while by_time and by_time[0][0] < from_min:
                del ordered[bisect_left(ordered, by_time.popleft()[1])]
            if ordered:
                figures = Observed(quantile(ordered, 0.5), quantile(ordered, 0.95), len(ordered))
                observed[modality, provider, POOLED] = figures
        self._latencies = Latencies(observed, self._world.trace.baselines)


class Recent:
    """Only the first part of the adaptive policy: the last observations, however stale, and no exploring."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._window = Window()

    def start(self, at_min: float, draw: float) -> Decision:
        return choose(self._world.wish, self._latencies(at_min))

    def note(self, key: Key, first_ms: float, at_min: float) -> None:
        self._window.note(*key, None, first_ms, round(at_min * MIN_NS))

    def _latencies(self, at_min: float) -> Latencies:
        observed = self._window.observed(round(at_min * MIN_NS))
        return Latencies({key: self._seen(one) for key, one in observed.items()}, self._world.trace.baselines)

    def _seen(self, one: Observed) -> Observed:
        return replace(one, stale_s=0.0)


class Fading(Recent):
    """Two parts of it: the last observations, fading; no exploring."""

    def _seen(self, one: Observed) -> Observed:
        return one


class Adaptive(Fading):
    """The adaptive policy."""

    def start(self, at_min: float, draw: float) -> Decision:
        latencies = self._latencies(at_min)
        return explore(choose(self._world.wish, latencies), self._world.wish, latencies, draw)


class Tail(Adaptive):
    """The adaptive policy with a fifth of the way from p50 to p95 added to every p50."""

    def _seen(self, one: Observed) -> Observed:
        return replace(one, p50_ms=one.p50_ms + (one.p95_ms - one.p50_ms) * _TAIL_WEIGHT)


class Oracle:
    """Knows every level of the hour that begins with a session's start, beforehand."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._hours = [self._of_hour(hour) for hour in range(len(world.best))]

    def start(self, at_min: float, draw: float) -> Decision:
        return choose(self._world.wish, self._hours[int(at_min) // 60])

    def note(self, key: Key, first_ms: float, at_min: float) -> None:
        pass

    def _of_hour(self, hour: int) -> Latencies:
        return Latencies({}, {key: fmean(_hour(self._world.trace, key, hour)) for key in self._world.trace.series})


CONTENDERS: dict[str, Callable[[World], Contender]] = {
    "median": Median,
    "recent only": Recent,
    "recent, fading": Fading,
    "adaptive": Adaptive,
    "adaptive, tail": Tail,
    "oracle": Oracle,
}


def run(world: World, contender: Contender) -> Figures:
    """Let every session of a world choose by a policy."""
    decisions: dict[int, Decision] = {}
    sums_ms: list[list[float]] = [[] for _ in world.sessions]
    regret_ms, best_ms = 0.0, 0.0
    for at_min, number, turn in world.events:
        session = world.sessions[number]
        if turn < 0:
            decisions[number] = contender.start(at_min, session.draw)
            continue
        total_ms, minute, hour, part = 0.0, int(at_min), int(session.start_min) // 60, 1 / len(session.turns_min)
        for (modality, leg), (z, tail, slower) in zip(decisions[number].legs.items(), session.luck[turn], strict=True):
            key = (modality, leg.entry.provider)
            series = world.trace.series[key]
            level_ms = series.level_ms[minute]
            first_ms = level_ms * math.exp(series.sigma[minute] * z) * (slower if tail < series.tail_share else 1.0)
            contender.note(key, first_ms, at_min)
            total_ms += first_ms
            other_ms = world.trace.series[modality, world.best[hour][modality]].level_ms[minute]
            regret_ms += (level_ms - other_ms) * part
            best_ms += other_ms * part
        sums_ms[number].append(total_ms)
    return _figures([decisions[number] for number in range(len(sums_ms))], sums_ms, regret_ms, best_ms)


def _figures(decisions: list[Decision], sums_ms: list[list[float]], regret_ms: float, best_ms: float) -> Figures:
    count = len(decisions)
    medians_ms = [median(turns_ms) for turns_ms in sums_ms]
    explored = [any(leg.is_explored for leg in decision.legs.values()) for decision in decisions]
    triples = [
        tuple(leg.entry for leg in decision.legs.values())
        for decision, is_explored in zip(decisions, explored, strict=True)
        if not is_explored
    ]
    return Figures(
        error_ms=fmean(abs(one.predicted_ms - real) for one, real in zip(decisions, medians_ms, strict=True)),
        regret_ms=regret_ms / count,
        regret_share=regret_ms / best_ms,
        over_budget_share=sum(real > one.budget_ms for one, real in zip(decisions, medians_ms, strict=True)) / count,
        p95_ms=quantile(sorted(total_ms for turns_ms in sums_ms for total_ms in turns_ms), 0.95),
        switches=sum(one != other for one, other in pairwise(triples)),
        explored_share=sum(explored) / count,
    )

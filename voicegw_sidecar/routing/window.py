"""The newest observations of one project, in memory: what the adaptive policy looks at instead of the roll-up.

Knows no clock: whoever owns a window gives the time, in wall-clock nanoseconds, feeds it every observation as its
exchange ends, and at start those of the last day from the database, oldest first.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Sequence
from itertools import accumulate

from msgspec import Struct

from voicegw_sidecar.routing.latency import POOLED, WINDOW_NS, Key, Observed
from voicegw_sidecar.terms import NS_PER_S, Modality

KEPT_SAMPLES = 50
"""Observations that are kept of a provider, and of each of its models."""
KEPT_KEYS = 256
"""Providers and models that are kept; names come from the wire, so the longest unobserved goes."""
HALF_LIFE_NS = 15 * 60 * NS_PER_S
"""An observation weighs half as much as one that is so much newer."""


class Window:
    """The last `KEPT_SAMPLES` observations of each key; newer ones weigh more."""

    def __init__(self) -> None:
        self._samples: OrderedDict[Key, _Samples] = OrderedDict()

    def note(self, modality: Modality, provider: str, model: str | None, first_ms: float, at_ns: int) -> None:
        """Take one observation: a successful exchange, not interrupted and not cached, that ended at ``at_ns``."""
        for name in (model, POOLED) if model else (POOLED,):
            key = (modality, provider, name)
            if key not in self._samples:
                self._samples[key] = _Samples()
            self._samples[key].add(first_ms, at_ns)
            self._samples.move_to_end(key)
        while len(self._samples) > KEPT_KEYS:
            self._samples.popitem(last=False)

    def observed(self, now_ns: int) -> dict[Key, Observed]:
        """Return what is known of each key at ``now_ns``; observations of more than a day ago do not count."""
        known: dict[Key, _Summary] = {}
        newest_ns: dict[Modality, int] = {}
        for key, samples in self._samples.items():
            summary = samples.summary(now_ns - WINDOW_NS)
            if summary is not None:
                known[key] = summary
                newest_ns[key[0]] = max(summary.newest_ns, newest_ns.get(key[0], 0))
        return {
            key: Observed(one.p50_ms, one.p95_ms, one.count, (newest_ns[key[0]] - one.newest_ns) / NS_PER_S)
            for key, one in known.items()
        }


class _Summary(Struct, frozen=True):
    p50_ms: float
    p95_ms: float
    count: int
    newest_ns: int


class _Samples:
    """The observations of one key, and what they come to until there is another one."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, int]] = deque(maxlen=KEPT_SAMPLES)
        self._summary: _Summary | None = None

    def add(self, first_ms: float, at_ns: int) -> None:
        self._kept.append((first_ms, at_ns))
        self._summary = None

    def summary(self, from_ns: int) -> _Summary | None:
        """Forget what is older than ``from_ns`` and summarise the rest; None where there is none."""
        while self._kept and self._kept[0][1] < from_ns:
            self._kept.popleft()
            self._summary = None
        if self._summary is None and self._kept:
            newest_ns = max(at_ns for _, at_ns in self._kept)
            # relative to the newest: so a summary does not change while nothing is observed
            weighted = sorted((ms, math.exp2((at_ns - newest_ns) / HALF_LIFE_NS)) for ms, at_ns in self._kept)
            p50_ms, p95_ms = weighted_quantiles(weighted, 0.5, 0.95)
            self._summary = _Summary(p50_ms, p95_ms, len(self._kept), newest_ns)
        return self._summary


def weighted_quantiles(ordered: Sequence[tuple[float, float]], *shares: float) -> tuple[float, ...]:
    """Return quantiles of ascending (value, weight); there has to be one, and some weight above 0.

    Each value stands in the middle of its weight, between two of them a quantile is linear; with equal weights
    it is `routing.latency.quantile`.
    """
    places = [end - weight / 2 for (_, weight), end in zip(ordered, accumulate(w for _, w in ordered), strict=True)]
    found = []
    for share in shares:
        place = min(places[0] + (places[-1] - places[0]) * share, places[-1])
        above = bisect_left(places, place)
        value = ordered[above][0]
        if above:
            step = (place - places[above - 1]) / (places[above] - places[above - 1])
            value = ordered[above - 1][0] + (value - ordered[above - 1][0]) * step
        found.append(value)
    return tuple(found)

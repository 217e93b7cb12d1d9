"""What a roster entry is expected to take until its first useful output: observed, else curated, else unknown."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence

from msgspec import Struct

from voicegw_sidecar.terms import NS_PER_S, Modality, RosterEntry

LEAST_SAMPLES = 5
"""From so many observations on they count, and the baseline no longer does."""
WINDOW_NS = 24 * 3600 * NS_PER_S
"""Observations older than this are forgotten."""
FADE_S = 90 * 60.0
"""In so many seconds what has gone stale loses half of its distance from the baseline."""
POOLED = ""
"""The model of the row that pools all models of a provider."""

Key = tuple[Modality, str, str]
"""Modality, provider, model or `POOLED`."""


class Source(enum.StrEnum):
    """Where an expectation comes from."""

    BASELINE = "baseline"
    OBSERVED = "observed"


class Observed(Struct, frozen=True):
    """What was observed of one key in the window.

    ``stale_s`` is how much newer the newest observation of its modality is than its own: 0 for whatever sessions
    are routed to, and in the roll-up, whose rows hold until they leave the window.
    """

    p50_ms: float
    p95_ms: float
    sample_count: int
    stale_s: float = 0.0


class Expected(Struct, frozen=True):
    """An entry's expected latency; ``samples`` is how many observations there are, used or too few."""

    ms: float
    source: Source
    samples: int = 0


class Latencies:
    """Everything that is known of one project's latencies at one moment."""

    def __init__(self, observed: Mapping[Key, Observed], baselines: Mapping[tuple[Modality, str], float]) -> None:
        self.observed = observed
        self._baselines = baselines

    def expected(self, modality: Modality, entry: RosterEntry) -> Expected | None:
        """Return what an entry is expected to take; None where nothing is known.

        A bare provider pools its models; an entry with a model has that model's own observations, but the
        provider's baseline, since baselines are not curated by model. Stale observations fade to the baseline.
        """
        seen = self.seen(modality, entry)
        samples = 0 if seen is None else seen.sample_count
        baseline_ms = self.baseline_ms(modality, entry.provider)
        if seen is not None and samples >= LEAST_SAMPLES:
            return Expected(_faded(seen, baseline_ms), Source.OBSERVED, samples)
        return None if baseline_ms is None else Expected(baseline_ms, Source.BASELINE, samples)

    def seen(self, modality: Modality, entry: RosterEntry) -> Observed | None:
        """Return what was observed of an entry, enough or too little; None for nothing."""
        return self.observed.get((modality, entry.provider, entry.model or POOLED))

    def baseline_ms(self, modality: Modality, provider: str) -> float | None:
        """Return the curated figure for a provider's modality, or None."""
        return self._baselines.get((modality, provider))


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of ascending values by linear interpolation; there has to be at least one."""
    place = (len(ordered) - 1) * share
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _faded(seen: Observed, baseline_ms: float | None) -> float:
    if baseline_ms is None or not seen.stale_s:
        return seen.p50_ms
    return baseline_ms + (seen.p50_ms - baseline_ms) * math.exp2(-seen.stale_s / FADE_S)

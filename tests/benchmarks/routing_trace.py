"""Latencies as they drift, and the sessions that meet them: the input of ``bench_routing.py``.

No provider publishes such traces, so they are generated, from named scenarios and a seed. Sizes lean on public
probes of LLM interfaces (p95 at 1.5 to 3.5 times the median, p99 at up to ten times, a third slower by day than
by night). ``read_trace`` reads measured ones instead.

The level of a provider, in ms, is the median of its latency in one minute:

    level = baseline × error of the baseline × day's wave × slow walk × release × region × incident

and an exchange takes ``level × exp(sigma × z)``, ``z`` normal, and sometimes a multiple of that.
"""

from __future__ import annotations

import csv
import math
import random
from array import array
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from voicegw_sidecar.providers import ALL
from voicegw_sidecar.terms import ROUTED, Modality

DAY_MIN = 1440
PROVIDERS = {
    Modality.STT: ("deepgram", "assemblyai", "openai"),
    Modality.LLM: ("groq", "openai", "anthropic"),
    Modality.TTS: ("cartesia", "elevenlabs", "openai"),
}
BASELINES = {
    (baseline.modality, provider.id): float(baseline.ms) for provider in ALL for baseline in provider.baselines
}
TAIL_FACTOR = (3.0, 8.0)
"""What an exchange of the tail is slower by, least and most."""

Key = tuple[Modality, str]


class Series(Struct):
    """One provider's latency, a value for each minute; ``tail_share`` of its exchanges are several times slower."""

    level_ms: array[float]
    sigma: array[float]
    tail_share: float = 0.0


class Trace(Struct):
    """Every provider's latency over the same minutes, and what the router believes before it has observed any."""

    minutes: int
    series: dict[Key, Series]
    baselines: dict[Key, float]


class Scenario(Struct, frozen=True):
    """How latencies drift; zero is not at all. Events are per provider, modality and day, but for regions."""

    name: str
    meaning: str
    baseline_error: float = 1.0
    """True levels are the baseline times something between 1/x and x, log-uniform."""
    wave: float = 0.0
    """Greatest half-width of the day's wave, in logarithms: 0.25 is 28 % over the mean at the peak."""
    walk: float = 0.0
    """Standard deviation of a slow walk back and forth, in logarithms; it forgets within half a day."""
    incidents: float = 0.0
    """2.5 to 6 times slower for 20 to 90 minutes."""
    regions: float = 0.0
    """Per day: half of all providers at once 1.3 to 2 times slower for 2 to 6 hours."""
    releases: float = 0.0
    """From one minute on, up to 1.8 times slower or faster for good."""


SCENARIOS = (
    Scenario("calm", "nothing drifts, the baselines are right"),
    Scenario("wrong", "nothing drifts, baselines wrong by up to 2.5 times", baseline_error=2.5),
    Scenario("waves", "day's waves and slow walks, baselines wrong", 2.5, wave=0.25, walk=0.15),
    Scenario("incidents", "incidents and regions, baselines wrong", 2.5, incidents=0.7, regions=0.5),
    Scenario("releases", "lasting steps, baselines wrong", 2.5, releases=0.25),
    Scenario("mixed", "all of it", 2.5, wave=0.25, walk=0.15, incidents=0.7, regions=0.5, releases=0.25),
)
_WALK_MIN = 720.0
_COLUMNS = ["minute", "modality", "provider", "level_ms", "sigma"]


def generated(scenario: Scenario, seed: int, days: int) -> Trace:
    """Return a trace of a scenario; the same one for the same arguments."""
    rng = random.Random(f"trace {scenario.name} {seed}")
    minutes = days * DAY_MIN
    regions = list(_spans(rng, scenario.regions, minutes, (120, 360), (1.3, 2.0)))
    series = {}
    for modality in ROUTED:
        for provider in PROVIDERS[modality]:
            factor = _factors(scenario, rng, minutes)
            for first, last, slower in [span for span in regions if rng.random() < 0.5]:
                for minute in range(first, last):
                    factor[minute] *= slower
            base_ms = BASELINES[modality, provider]
            sigma = array("d", [rng.uniform(0.2, 0.45)]) * minutes
            levels_ms = array("d", [base_ms * value for value in factor])
            series[modality, provider] = Series(levels_ms, sigma, rng.uniform(0.01, 0.03))
    return Trace(minutes, series, {key: BASELINES[key] for key in series})


def _factors(scenario: Scenario, rng: random.Random, minutes: int) -> array[float]:
    """What one provider's level is the baseline times of, minute by minute; regions are not in it."""
    error = math.log(scenario.baseline_error)
    height, peak = rng.uniform(0.4, 1.0) * scenario.wave, rng.uniform(13 * 60, 21 * 60)
    offset, walk = rng.uniform(-error, error), rng.gauss(0.0, scenario.walk)
    step = scenario.walk * math.sqrt(2 / _WALK_MIN)
    factors = array("d")
    for minute in range(minutes):
        factors.append(math.exp(offset + walk + height * math.cos(2 * math.pi * (minute - peak) / DAY_MIN)))
        walk += rng.gauss(0.0, step) - walk / _WALK_MIN
        if rng.random() < scenario.releases / DAY_MIN:
            offset += rng.uniform(-math.log(1.8), math.log(1.8))
    for first, last, slower in _spans(rng, scenario.incidents, minutes, (20, 90), (2.5, 6.0)):
        for minute in range(first, last):
            factors[minute] *= slower
    return factors


def _spans(
    rng: random.Random, per_day: float, minutes: int, lasts_min: tuple[int, int], slower: tuple[float, float]
) -> Iterator[tuple[int, int, float]]:
    """Yield first minute, the one after the last, and the factor of what happens so often a day."""
    minute = rng.expovariate(per_day / DAY_MIN) if per_day else math.inf
    while minute < minutes:
        first = int(minute)
        last = first + rng.randint(*lasts_min)
        yield first, min(last, minutes), rng.uniform(*slower)
        minute = last + rng.expovariate(per_day / DAY_MIN)


def read_trace(path: Path) -> Trace:
    """Read ``minute,modality,provider,level_ms,sigma`` (with that head): a value holds until the provider's next.

    Minutes count from 0, where each provider needs a row. A provider that has no curated baseline starts with
    its first level as one. There is no tail but sigma's. Raises :class:`ValueError` on anything else.
    """
    rows: dict[Key, dict[int, tuple[float, float]]] = {}
    with path.open(newline="", encoding="utf-8") as lines:
        for number, line in enumerate(csv.reader(lines), start=1):
            if number > 1 or line != _COLUMNS:
                key, minute, value = _row(f"{path}: line {number}", line)
                rows.setdefault(key, {})[minute] = value
    for modality in ROUTED:
        if not any(own is modality for own, _ in rows):
            raise ValueError(f"{path}: no rows of {modality}")
    for (modality, provider), values in rows.items():
        if 0 not in values:
            raise ValueError(f"{path}: no row of minute 0 for {modality} {provider}")
    minutes = 1 + max(minute for values in rows.values() for minute in values)
    series = {key: _held(values, minutes) for key, values in rows.items()}
    return Trace(minutes, series, {key: BASELINES.get(key, one.level_ms[0]) for key, one in series.items()})


def _row(where: str, line: list[str]) -> tuple[Key, int, tuple[float, float]]:
    try:
        minute, modality, provider, level_ms, sigma = line
        key, at, value = (Modality(modality), provider), int(minute), (float(level_ms), float(sigma))
    except ValueError:
        raise ValueError(f"{where}: expected {','.join(_COLUMNS)}, got {','.join(line)}") from None
    if key[0] not in ROUTED or at < 0 or not 0 < value[0] < math.inf or not 0 <= value[1] < math.inf:
        raise ValueError(f"{where}: expected stt, llm or tts, a minute from 0, a level above 0 and a sigma from 0")
    return key, at, value


def _held(values: dict[int, tuple[float, float]], minutes: int) -> Series:
    levels_ms, sigmas, value = array("d"), array("d"), values[0]
    for minute in range(minutes):
        value = values.get(minute, value)
        levels_ms.append(value[0])
        sigmas.append(value[1])
    return Series(levels_ms, sigmas)


class Session(Struct):
    """One conversation: when it starts and when each of its turns is over, in minutes; and its luck.

    ``luck`` has, for each turn and each modality, the normal draw and the tail draw that its exchange gets from
    whichever provider serves it: so policies differ by what they chose and by nothing else.
    """

    start_min: float
    turns_min: list[float]
    luck: list[tuple[tuple[float, float, float], ...]]
    draw: float


def sessions(count: int, minutes: int, seed: int) -> list[Session]:
    """Return so many conversations by their start: few by night, of eight turns and four minutes in the mean."""
    rng = random.Random(f"arrivals {seed}")
    starts: list[float] = []
    while len(starts) < count:
        start = rng.random() * (minutes - 1)
        if rng.random() < 0.55 - 0.45 * math.cos(2 * math.pi * (start / DAY_MIN - 3 / 24)):
            starts.append(start)
    return [_session(rng, start, minutes) for start in sorted(starts)]


def _session(rng: random.Random, start_min: float, minutes: int) -> Session:
    turns_min, at_min = [], start_min
    for _ in range(2 + min(38, int(rng.expovariate(1 / 6.5)))):
        at_min += 0.15 + rng.expovariate(1 / 0.35)
        turns_min.append(min(at_min, minutes - 1))
    luck = [tuple((rng.gauss(0.0, 1.0), rng.random(), rng.uniform(*TAIL_FACTOR)) for _ in ROUTED) for _ in turns_min]
    return Session(start_min, turns_min, luck, rng.random())

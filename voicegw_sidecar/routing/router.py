"""The router: which STT, LLM and TTS a session gets. A pure function that says why.

Of the product of three rosters the triple with the smallest sum of expected latencies is taken. A sum is
smallest where each of its terms is, so each roster is decided by itself; a tie goes to the entry listed first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from voicegw_sidecar.errors import NoRoute
from voicegw_sidecar.routing.latency import Expected, Latencies
from voicegw_sidecar.terms import ROUTED, Modality, RosterEntry

_DIGITS = 6  # of a millisecond: sums of observed fractions are compared without their rounding noise


class Leg(Struct, frozen=True):
    """What one modality of a session gets. ``reason`` says why, for people.

    ``is_explored`` marks what was taken to learn how fast it is, not because it is expected to be the fastest.
    """

    entry: RosterEntry
    expected: Expected
    reason: str
    is_explored: bool = False


class Wish(Struct, frozen=True):
    """What a route is chosen from: a project's rosters and rules, and an agent's own choice for some legs."""

    project: str
    rosters: Mapping[Modality, tuple[RosterEntry, ...]]
    budget_ms: int
    fallback_to_fastest: bool = True
    overrides: Mapping[Modality, RosterEntry] = {}


class Decision(Struct, frozen=True):
    """A chosen triple; ``is_overrun`` marks the fastest one that still does not fit the budget."""

    legs: dict[Modality, Leg]
    predicted_ms: float
    budget_ms: int
    is_overrun: bool


def choose(wish: Wish, latencies: Latencies) -> Decision:
    """Choose a triple; raises :class:`NoRoute` where none may be taken."""
    legs = {modality: _leg(wish, modality, latencies) for modality in ROUTED}
    predicted_ms = total_ms(legs)
    is_overrun = predicted_ms > wish.budget_ms
    if is_overrun and not wish.fallback_to_fastest:
        raise NoRoute(
            f"no triple of project {wish.project} fits {wish.budget_ms} ms: the fastest is expected to take "
            f"{predicted_ms:.0f} ms; raise projects.{wish.project}.routing.budget_ms, add a faster provider to a "
            "roster, or set fallback_to_fastest: true"
        )
    return Decision(legs, predicted_ms, wish.budget_ms, is_overrun)


def total_ms(legs: Mapping[Modality, Leg]) -> float:
    """Return the sum of what the legs are expected to take."""
    return round(math.fsum(leg.expected.ms for leg in legs.values()), _DIGITS)


def _leg(wish: Wish, modality: Modality, latencies: Latencies) -> Leg:
    known: list[tuple[float, RosterEntry, Expected]] = []
    unknown: list[RosterEntry] = []
    entries = candidates(wish, modality)
    for entry in entries:
        expected = latencies.expected(modality, entry)
        if expected is None:
            unknown.append(entry)
        else:
            known.append((expected.ms, entry, expected))
    if not known:
        raise NoRoute(
            f"nothing is known of the latency of {_listed(entries)} ({modality} of project {wish.project}): neither "
            "a baseline nor enough observations; add a provider with a baseline to the roster (docs/providers.md)"
        )
    _, entry, expected = min(known, key=lambda one: one[0])  # of equals the first, as the roster has them
    others = [f"{other} {words(its)}" for _, other, its in known if other is not entry]
    others += [f"{other} unknown" for other in unknown]
    reason = f"{entry} {words(expected)}" + (f", before {', '.join(others)}" if others else ", the only candidate")
    return Leg(entry, expected, reason)


def candidates(wish: Wish, modality: Modality) -> tuple[RosterEntry, ...]:
    """Return the entries to choose from: a roster, narrowed by the agent's own choice where it made one.

    Raises :class:`NoRoute` where there are none.
    """
    roster = wish.rosters.get(modality, ())
    where = f"projects.{wish.project}.routing.rosters.{modality}"
    if not roster:
        raise NoRoute(f"{where} is empty; name at least one provider there")
    wanted = wish.overrides.get(modality)
    if wanted is None:
        return roster
    narrowed = tuple(dict.fromkeys(_joined(entry, wanted) for entry in roster if _fits(entry, wanted)))
    if not narrowed:
        raise NoRoute(f"{wanted} is not in {where}, which has {_listed(roster)}; name one of these or add it there")
    return narrowed


def _fits(entry: RosterEntry, wanted: RosterEntry) -> bool:
    return entry.provider == wanted.provider and all(
        own is None or asked is None or own == asked
        for own, asked in ((entry.model, wanted.model), (entry.variant, wanted.variant))
    )


def _joined(entry: RosterEntry, wanted: RosterEntry) -> RosterEntry:
    return replace(entry, model=wanted.model or entry.model, variant=wanted.variant or entry.variant)


def words(expected: Expected) -> str:
    """Return an expectation as people read it, in parentheses."""
    samples = f", {expected.samples} samples" if expected.source == "observed" else ""
    return f"({expected.ms:.0f} ms {expected.source}{samples})"


def _listed(entries: tuple[RosterEntry, ...]) -> str:
    return ", ".join(map(str, entries))

"""The adaptive policy's own part: few sessions take another entry in one leg, to learn how fast it is now.

`RoutingPolicy.MEDIAN` is `router.choose` with the roll-up's medians. `RoutingPolicy.ADAPTIVE` is `router.choose`
with those of a `window.Window`, and `explore` after it. Nothing here reads a clock or throws dice: whoever starts
a session gives the time and the draw. docs/routing.md has both measured.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from voicegw_sidecar.routing.latency import WINDOW_NS, Expected, Latencies
from voicegw_sidecar.routing.router import Decision, Leg, Wish, candidates, total_ms, words
from voicegw_sidecar.terms import NS_PER_S, Modality, RosterEntry

EXPLORED_SHARE = 0.01
"""Share of sessions that take another entry in one leg, if there is one worth trying."""
LEAST_STALE_S = 3600.0
"""What was observed more recently is known well enough."""
_NEVER_S = WINDOW_NS / NS_PER_S
_LEAST_MS = 1.0  # an entry that answers at once is no reason to divide by zero


class _Try(Struct, frozen=True):
    modality: Modality
    entry: RosterEntry
    expected: Expected
    stale_s: float
    worth: float


def explore(decision: Decision, wish: Wish, latencies: Latencies, draw: float) -> Decision:
    """Return a decision with another entry in one leg for a small share of sessions, else the same.

    ``draw`` is uniform in [0, 1). Tried is what has gone unobserved long and is not much slower than the leg's
    own; never a leg that the agent chose itself, and nothing that does not fit the latency budget.
    """
    if draw >= EXPLORED_SHARE:
        return decision
    tries = [one for modality in decision.legs for one in _tries(modality, decision, wish, latencies)]
    if not tries:
        return decision
    best = max(tries, key=lambda one: one.worth)  # of equals the first, as the rosters have them
    taken = decision.legs[best.modality]
    unseen = f"for {best.stale_s / 3600:.0f} h" if best.stale_s < _NEVER_S else "within a day"
    reason = (
        f"{best.entry} {words(best.expected)}, explored: it was not observed {unseen}; "
        f"otherwise {taken.entry} {words(taken.expected)}"
    )
    legs = {**decision.legs, best.modality: Leg(best.entry, best.expected, reason, is_explored=True)}
    return replace(decision, legs=legs, predicted_ms=total_ms(legs))


def _tries(modality: Modality, decision: Decision, wish: Wish, latencies: Latencies) -> list[_Try]:
    if modality in wish.overrides:
        return []
    taken = decision.legs[modality]
    spare_ms = wish.budget_ms - decision.predicted_ms + taken.expected.ms
    tries = []
    for entry in candidates(wish, modality):
        expected = latencies.expected(modality, entry)
        seen = latencies.seen(modality, entry)
        stale_s = _NEVER_S if seen is None else min(seen.stale_s, _NEVER_S)
        if entry == taken.entry or expected is None or expected.ms > spare_ms or stale_s < LEAST_STALE_S:
            continue
        worth = stale_s * taken.expected.ms / max(expected.ms, _LEAST_MS)
        tries.append(_Try(modality, entry, expected, stale_s, worth))
    return tries

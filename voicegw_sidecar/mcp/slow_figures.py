"""What a session took, part by part, beside what it should have taken: the figures that `slowness` draws from. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from msgspec import Struct

from voicegw_sidecar.mcp.told import PARTS, Day, Exchange, Leg, Observation, Session, Turn
from voicegw_sidecar.terms import FAILED, Status

UNCOUNTED = frozenset({Status.OPEN, Status.REFUSED, Status.IDLE})
"""What the session's own count of exchanges leaves out, as the API's does."""


class Over(Struct, frozen=True):
    """A part of one turn that took longer than was predicted of the provider that was picked."""

    part: str
    over_ms: int


class SlowTurn(Struct, frozen=True):
    """A turn over the latency budget. ``part`` is the one that took most, of those that are known."""

    index: int
    total_ms: int
    over_ms: int
    part: str | None
    part_ms: int | None
    over_predicted: list[Over]


class Observed(Struct, frozen=True):
    """What the project observes of one that was called; of all the provider's models together where that is all."""

    provider: str
    model: str | None
    is_of_all_models: bool
    p50_ms: float
    p95_ms: float
    samples: int


class PartFigures(Struct, frozen=True):
    """One part over all turns in which it is known, beside what was predicted and what the project observes.

    ``provider`` is the route's: the one that was picked, where one was. ``called`` is what really was, provider/model.
    """

    part: str
    provider: str | None
    is_provider_called: bool | None
    called: list[str]
    median_ms: float | None
    turns: int
    unknown_turns: int
    most_in_slow_turns: int
    predicted_ms: float | None
    over_predicted_ms: float | None
    over_predicted_in_slow_turns: int
    observed: list[Observed]


class Found(Struct, frozen=True):
    """What was found before it is put in words. ``failed`` holds the refused ones too."""

    session: Session
    exchanges: Sequence[Exchange]
    are_all: bool
    slow: list[SlowTurn]
    parts: list[PartFigures]
    failed: list[Exchange]
    stand_ins: list[Exchange]
    day: Day | None
    is_project_there: bool

    @property
    def known_ms(self) -> list[int]:
        """The totals that are known."""
        return [turn.total_ms for turn in self.session.turns if turn.total_ms is not None]

    @property
    def counted(self) -> int:
        """How many exchanges there were, as the API counts them."""
        return sum(one.status not in UNCOUNTED for one in self.exchanges)

    @property
    def refused(self) -> int:
        """How many of the failed were refused before anything of them was sent; they are not counted."""
        return sum(one.status == Status.REFUSED for one in self.failed)


def figures(
    session: Session, exchanges: Sequence[Exchange], observations: Sequence[Observation] | None, day: Day | None, *,
    are_all: bool,
) -> Found:  # fmt: skip
    """Compare; see `slowness.analyse`."""
    exchanges = sorted(exchanges, key=lambda one: one.started_at)
    slow = [_slow_turn(session, turn) for turn in session.turns if (turn.total_ms or 0) > session.budget_ms]
    return Found(
        session, exchanges, are_all, slow, [_part_figures(session, part, slow, observations or ()) for part in PARTS],
        [one for one in exchanges if one.status in FAILED],
        [one for one in exchanges if _is_stand_in(session, one)], day, observations is not None,
    )  # fmt: skip


def is_called(leg: Leg) -> bool:
    """Say whether the provider of a route was called, as far as anything was."""
    return not leg.used or leg.provider in {provider for provider, _ in called(leg)}


def called(leg: Leg) -> list[tuple[str, str | None]]:
    """Return provider and model of each that was called; the route's own where none is told of."""
    names = [name.partition("/") for name in leg.used]
    return [(provider, model or None) for provider, _, model in names] or [(leg.provider, leg.model)]


def _slow_turn(session: Session, turn: Turn) -> SlowTurn:
    known = [(took_ms, part) for part in PARTS if (took_ms := turn.part_ms(part)) is not None]
    part_ms, part = max(known, key=lambda one: one[0]) if known else (None, None)
    over = [
        Over(part, over_ms)
        for took_ms, part in known
        if (predicted_ms := _predicted_ms(session, part)) is not None and (over_ms := round(took_ms - predicted_ms)) > 0
    ]
    total_ms = turn.total_ms or 0
    return SlowTurn(turn.index, total_ms, total_ms - session.budget_ms, part, part_ms, over)


def _predicted_ms(session: Session, part: str) -> float | None:
    """Return what was predicted of a part when the session began."""
    leg = session.route.get(part)
    return None if leg is None else leg.predicted_ms


def _part_figures(
    session: Session, part: str, slow: Sequence[SlowTurn], observations: Sequence[Observation]
) -> PartFigures:
    took_ms = [found for turn in session.turns if (found := turn.part_ms(part)) is not None]
    middle_ms = median(took_ms) if took_ms else None
    predicted_ms, leg = _predicted_ms(session, part), session.route.get(part)
    return PartFigures(
        part=part,
        provider=None if leg is None else leg.provider,
        is_provider_called=None if leg is None else is_called(leg),
        called=[] if leg is None else leg.used,
        median_ms=middle_ms,
        turns=len(took_ms),
        unknown_turns=len(session.turns) - len(took_ms),
        most_in_slow_turns=sum(one.part == part for one in slow),
        predicted_ms=predicted_ms,
        over_predicted_ms=None if middle_ms is None or predicted_ms is None else round(middle_ms - predicted_ms, 3),
        over_predicted_in_slow_turns=sum(part in {over.part for over in one.over_predicted} for one in slow),
        observed=[] if leg is None else _observed(leg, part, observations),
    )


def _observed(leg: Leg, part: str, observations: Sequence[Observation]) -> list[Observed]:
    """Return what the project observes of each that was called: of its model, else of all the provider's together."""
    found = {}
    for provider, model in called(leg):
        of_provider = [one for one in observations if (one.modality, one.provider) == (part, provider)]
        nearest = [one for name in (model, None) for one in of_provider if one.model == name]
        for one in nearest[:1]:
            found[provider, one.model] = Observed(
                provider, one.model, one.model is None, one.p50_ms, one.p95_ms, one.sample_count
            )
    return list(found.values())


def _is_stand_in(session: Session, exchange: Exchange) -> bool:
    leg = session.route.get(exchange.modality or "")
    was_picked = leg is not None and leg.predicted_ms is not None
    return was_picked and leg is not None and exchange.cost_source == "local" and exchange.provider != leg.provider

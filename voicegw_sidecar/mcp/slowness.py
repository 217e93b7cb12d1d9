"""Why a session was slow, from what was measured of it. Pure: no sentence without its figures, no guess.

Compared are the turns with the latency budget, the parts of turns with what was predicted when the session began and
with what the project observes of those that were called, and the exchanges with how they should have ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct

from voicegw_sidecar.mcp.slow_figures import PartFigures, SlowTurn, figures
from voicegw_sidecar.mcp.slow_words import sentences
from voicegw_sidecar.mcp.told import Day, Exchange, Observation, Session


class Verdict(StrEnum):
    """What can be said in a word."""

    SLOW = "slow"
    NOT_SLOW = "not_slow"
    UNKNOWN = "unknown"


class Analysis(Struct, frozen=True):
    """The whole answer; ``sentences`` says it in words."""

    verdict: Verdict
    sentences: list[str]
    slow_turns: list[SlowTurn]
    parts: list[PartFigures]
    exchanges: int
    failed_exchanges: int
    refused_exchanges: int
    stand_in_exchanges: int


def analyse(
    session: Session, exchanges: Sequence[Exchange], observations: Sequence[Observation] | None, day: Day | None, *,
    are_all: bool = True,
) -> Analysis:  # fmt: skip
    """Say why a session was slow, that it was not, or that it cannot be told.

    ``observations`` is None where the project is no longer there; ``are_all`` is False where of the exchanges there
    are only the newest.
    """
    found = figures(session, exchanges, observations, day, are_all=are_all)
    verdict = Verdict.SLOW if found.slow else Verdict.NOT_SLOW if found.known_ms else Verdict.UNKNOWN
    return Analysis(
        verdict, [*sentences(found)], found.slow, found.parts, found.counted, len(found.failed) - found.refused,
        found.refused, len(found.stand_ins),
    )  # fmt: skip

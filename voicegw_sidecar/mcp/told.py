"""What the API tells of a session, a project's observations and its day, as far as the tools reckon with it."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from voicegw_sidecar.control_client import NoAnswer

T = TypeVar("T")

PARTS = ("stt", "llm", "tts", "agent")
"""Of a turn, in the order in which they are shown."""


class Turn(Struct, frozen=True):
    """One turn; a part is None where one of its marks was not seen."""

    index: int
    stt_ms: int | None
    llm_ms: int | None
    tts_ms: int | None
    agent_ms: int | None
    total_ms: int | None
    interrupted: bool = False
    llm_calls: int = 0
    abandoned: int = 0

    def part_ms(self, part: str) -> int | None:
        """Return what a part took."""
        found: int | None = getattr(self, f"{part}_ms")
        return found


class Leg(Struct, frozen=True):
    """One leg of a session's route; without a prediction nobody picked it."""

    provider: str
    model: str | None = None
    predicted_ms: float | None = None
    source: str | None = None
    samples: int | None = None


class Session(Struct, frozen=True):
    """One session with its turns."""

    id: str
    project: str
    ended_at: str | None
    route: dict[str, Leg | None]
    predicted_ms: float | None
    budget_ms: int
    budget_ms_used: float | None
    budget_overrun: bool | None
    turns: list[Turn]


class Exchange(Struct, frozen=True):
    """One exchange of a session."""

    started_at: str
    modality: str | None
    provider: str
    status: str
    http_status: int | None
    cost_source: str
    error: str | None


class Observation(Struct, frozen=True):
    """What was observed of a provider in a project; of all its models together where ``model`` is None."""

    modality: str
    provider: str
    model: str | None
    p50_ms: float
    p95_ms: float
    sample_count: int


class Day(Struct, frozen=True):
    """How a project's day stands against its budget."""

    budget_action: str
    budget_status: str


def read(answer: Any, shape: type[T]) -> T:
    """Read an answer of the API; raises `NoAnswer` where it is none of this version's."""
    try:
        return msgspec.convert(answer, shape)
    except (msgspec.ValidationError, RecursionError):
        raise NoAnswer("what answers there is no sidecar of this version: its answer has another form") from None

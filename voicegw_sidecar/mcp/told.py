"""What the API tells, as far as the tools rely on it: what answers in another form is no sidecar of this version."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from voicegw_sidecar.control_client import FOREIGN, ControlClient, NoAnswer

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
    """One leg of a session's route; nobody picked it without a prediction. ``used`` is what was called."""

    provider: str
    model: str | None = None
    predicted_ms: float | None = None
    source: str | None = None
    samples: int | None = None
    used: list[str] = []


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
    exchanges: int | None
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


class Liveness(Struct, frozen=True):
    """The answer of ``/health``."""

    status: str


class Readiness(Struct, frozen=True):
    """The answer of ``/ready``."""

    status: str
    reasons: list[str]


class Provider(Struct, frozen=True):
    """A provider that the sidecar knows."""

    configured: bool


class Status(Struct, frozen=True):
    """The answer of ``/v1/status``."""

    config_error: str | None
    projects_not_in_force: dict[str, str]
    providers: dict[str, Provider]
    counts: dict[str, int]
    database: dict[str, Any]


class Project(Struct, frozen=True):
    """A project as it is set."""

    id: str
    source: str
    daily_budget: float | None
    routing: dict[str, Any]
    providers: list[str]


class Projects(Struct, frozen=True):
    """The answer of ``/v1/projects``."""

    projects: list[Project]
    stats: dict[str, dict[str, Any]]


class Spend(Struct, frozen=True):
    """Spend of one group."""

    cost_usd: float
    requests: int


class Costs(Struct, frozen=True):
    """The answer of ``/v1/costs``."""

    total_usd: float
    requests: int
    unpriced: int
    by_provider: dict[str, Spend]
    by_model: dict[str, Spend]
    by_modality: dict[str, Spend]
    by_project: dict[str, Spend]


class DayCost(Struct, frozen=True):
    """What one project spent on one day."""

    project: str
    day: str
    cost_usd: float


class Logs(Struct, frozen=True):
    """The answer of ``/v1/logs``."""

    logs: list[Exchange]
    next: str | None


class Listed(Struct, frozen=True):
    """A session of a list."""

    id: str
    project: str


class Sessions(Struct, frozen=True):
    """The answer of ``/v1/sessions``."""

    sessions: list[Listed]
    next: str | None


class ProjectRouting(Struct, frozen=True):
    """How one project's sessions choose."""

    budget_ms: int
    rosters: dict[str, list[str]]
    observations: list[Observation]


class Routing(Struct, frozen=True):
    """The answer of ``/api/routing``."""

    projects: dict[str, ProjectRouting]


class Simulated(Struct, frozen=True):
    """The answer of ``/api/routing/simulate``."""

    project: str
    route: dict[str, Leg]
    predicted_ms: float
    budget_ms: int
    budget_overrun: bool


class Brand(Struct, frozen=True):
    """A project's look."""

    product_name: str | None
    accent_color: str | None
    logo_url: str | None


class Branding(Struct, frozen=True):
    """The answer of ``/api/projects/{id}/branding``."""

    branding: Brand


class Share(Struct, frozen=True):
    """A share link."""

    id: str
    state: str


class Shares(Struct, frozen=True):
    """The answer of ``/api/shares``."""

    shares: list[Share]


class NewShare(Share, frozen=True):
    """A share link that was just made."""

    url: str
    expires_at: str


def fetch(client: ControlClient, path: str, shape: type[Any], *, also: int | None = None) -> Any:
    """Ask for something, and return the answer as it came; raises `NoAnswer` where it has another form than this."""
    answer = client.ask("GET", path, also=also)
    read(answer, shape)
    return answer


def send(client: ControlClient, method: str, path: str, shape: type[Any], body: object) -> Any:
    """Change something, and return the answer as it came; raises `NoAnswer` where it has another form than this."""
    answer = client.ask(method, path, body)
    try:
        read(answer, shape)
    except NoAnswer as error:
        raise NoAnswer(f"{error.message}; whether it was done is not known") from None
    return answer


def read(answer: Any, shape: type[T]) -> T:
    """Read an answer of the API; raises `NoAnswer` where it is none of this version's."""
    try:
        return msgspec.convert(answer, shape)
    except msgspec.ValidationError as error:
        raise NoAnswer(f"{FOREIGN}: {error}") from None
    except RecursionError:
        raise NoAnswer(f"{FOREIGN}: its answer is too deep") from None

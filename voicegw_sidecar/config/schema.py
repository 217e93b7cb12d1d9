"""The whole schema of ``voicegw.yaml``: one frozen struct per section, its fields annotated with their kind.

Field names are the keys of the file unless renamed by ``field(name=…)``. Values only: reading is
``check``'s work, looking a setting up at run time ``catalog``'s. Keys and defaults: docs/configuration.md.
"""

from __future__ import annotations

import enum
import ipaddress
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from msgspec import UNSET, Struct, UnsetType, field

from voicegw_sidecar.config.address import LARGEST_PORT, AllowedHost, Host, Network, PrivateUrl, Url
from voicegw_sidecar.config.entry import Entry, PriceKey, ProjectId, ProviderId
from voicegw_sidecar.config.kind import (
    DAY_S,
    AgentKey,
    Budget,
    EnvName,
    FilePath,
    Key,
    Maybe,
    Number,
    OneOf,
    Pattern,
    Seconds,
    Text,
    Whole,
    YesNo,
    Zone,
)
from voicegw_sidecar.terms import BudgetAction, Modality, RosterEntry, RoutingPolicy, Secret, Unpriced

BUILTIN_PROJECT = "default"
HOUR_MS = 3_600_000

_PRICE = Maybe(Number("a number of US dollars", 0, 1_000_000))
PORT = Whole("a port number", 0, LARGEST_PORT)
_PATIENCE = Seconds(above_zero=True)


class FromKey:
    """Marks a field that is filled from where the section stands and may not be written inside it."""


FROM_KEY = FromKey()


class Dialect(enum.StrEnum):
    """The wire format of a provider that is not built in."""

    OPENAI = "openai"


class LogFormat(enum.StrEnum):
    """How a log line is written."""

    TEXT = "text"
    JSON = "json"


class LogLevel(enum.StrEnum):
    """The least severe message that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class BuiltinProvider(Struct, frozen=True):
    """What configuration has to know about a provider that needs none."""

    base_url: str
    is_local: bool


class TimeoutEntry(Struct, frozen=True):
    """Time limits as written at one level; UNSET leaves the decision to the next level."""

    connect_s: Annotated[float | UnsetType, _PATIENCE] = UNSET
    first_byte_s: Annotated[float | UnsetType, _PATIENCE] = UNSET
    idle_s: Annotated[float | UnsetType | None, Maybe(_PATIENCE)] = UNSET


class ProviderEntry(Struct, frozen=True):
    """A provider as written at one level, top or project; ``Catalog.provider_settings`` joins the two."""

    api_key: Annotated[Secret | None, Maybe(Key())] = None
    base_url: Annotated[str | None, Maybe(Url("a base URL such as https://api.example.com"))] = None
    dialect: Annotated[Dialect | None, Maybe(OneOf(Dialect))] = None
    include_usage: Annotated[bool | UnsetType, YesNo()] = UNSET
    timeouts: TimeoutEntry = TimeoutEntry()


class Rosters(Struct, frozen=True):
    """The candidates of each modality, in order of preference; an empty one routes nothing."""

    stt: tuple[Annotated[RosterEntry, Entry(Modality.STT)], ...] = ()
    llm: tuple[Annotated[RosterEntry, Entry(Modality.LLM)], ...] = ()
    tts: tuple[Annotated[RosterEntry, Entry(Modality.TTS)], ...] = ()


class Routing(Struct, frozen=True):
    """How a project's sessions choose their providers."""

    budget_ms: Annotated[int, Whole("a whole number of milliseconds", 1, HOUR_MS)] = 1500
    fallback_to_fastest: Annotated[bool, YesNo()] = True
    failover: Annotated[bool, YesNo()] = False
    policy: Annotated[RoutingPolicy, OneOf(RoutingPolicy)] = RoutingPolicy.MEDIAN
    rosters: Rosters = Rosters()


class ThrottleTo(Struct, frozen=True):
    """The stand-ins that serve a project whose budget is spent."""

    stt: Annotated[RosterEntry | None, Maybe(Entry(Modality.STT))] = None
    llm: Annotated[RosterEntry | None, Maybe(Entry(Modality.LLM))] = None
    tts: Annotated[RosterEntry | None, Maybe(Entry(Modality.TTS))] = None


PRODUCT_NAME = Text(1, 64)
ACCENT_COLOR = Pattern("a colour such as #F63 or #FF6633", "#(?:[0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})")


class Branding(Struct, frozen=True):
    """How a project's pages look to its owner."""

    product_name: Annotated[str | None, Maybe(PRODUCT_NAME)] = None
    accent_color: Annotated[str | None, Maybe(ACCENT_COLOR)] = None
    logo: Annotated[Path | None, Maybe(FilePath())] = None


class Project(Struct, frozen=True):
    """One project: whose keys, which budget, which providers."""

    id: Annotated[str, FROM_KEY] = BUILTIN_PROJECT
    name: Annotated[str, Text(0, 128)] = ""
    description: Annotated[str, Text(0, 2000, multiline=True)] = ""
    daily_budget_nanousd: Annotated[int | None, Maybe(Budget())] = field(default=None, name="daily_budget")
    """None is unlimited."""
    budget_action: Annotated[BudgetAction, OneOf(BudgetAction)] = BudgetAction.WARN
    tags: tuple[Annotated[str, Text(1, 64)], ...] = ()
    providers: dict[Annotated[str, ProviderId()], ProviderEntry] = field(default_factory=dict)
    agent_keys: tuple[Annotated[Secret, AgentKey()], ...] = ()
    agent_key_envs: tuple[Annotated[str, EnvName()], ...] = ()
    routing: Routing = Routing()
    throttle_to: ThrottleTo = ThrottleTo()
    branding: Branding = Branding()
    is_managed: Annotated[bool, FROM_KEY] = False
    """Made at run time, in the database, and not written in the file."""

    @property
    def title(self) -> str:
        """The name people see: the configured one, else the id."""
        return self.name or self.id


class CostTracking(Struct, frozen=True):
    """Whether and where exchanges are recorded and priced."""

    enabled: Annotated[bool, YesNo()] = True
    db_path: Annotated[Path, FilePath()] = Path("~/.config/voicegateway/voicegw.db")
    unpriced: Annotated[Unpriced, OneOf(Unpriced)] = Unpriced.WARN


class PriceOverride(Struct, frozen=True):
    """Prices of one model in US dollars; None leaves the catalogue's price."""

    input_per_mtok: Annotated[Decimal | None, _PRICE] = None
    cached_input_per_mtok: Annotated[Decimal | None, _PRICE] = None
    output_per_mtok: Annotated[Decimal | None, _PRICE] = None
    audio_input_per_mtok: Annotated[Decimal | None, _PRICE] = None
    audio_output_per_mtok: Annotated[Decimal | None, _PRICE] = None
    per_minute: Annotated[Decimal | None, _PRICE] = None
    per_1k_chars: Annotated[Decimal | None, _PRICE] = None


class Serve(Struct, frozen=True):
    """Where the sidecar listens and by which names it is known."""

    host: Annotated[str, Host()] = "127.0.0.1"
    port: Annotated[int, PORT] = 8080
    health_port: Annotated[int | None, Maybe(PORT)] = None
    allowed_hosts: tuple[Annotated[str, AllowedHost()], ...] = ()
    trusted_proxies: tuple[Annotated[ipaddress.IPv4Network | ipaddress.IPv6Network, Network()], ...] = ()
    public_url: Annotated[str | None, Maybe(Url("an address such as https://voice.example.com", origin_only=True))] = (
        None
    )
    drain_seconds: Annotated[float, Seconds(above_zero=False)] = 30.0


class Auth(Struct, frozen=True):
    """Who may use the control plane; the empty keys of the file are already left out."""

    api_keys: tuple[Annotated[Secret, Key()], ...] = ()
    viewer_keys: tuple[Annotated[Secret, Key()], ...] = ()


class Storage(Struct, frozen=True):
    """How long rows are kept."""

    retention_days: Annotated[int, Whole("a whole number of days", 1, 36_500)] = 90


class Sessions(Struct, frozen=True):
    """When a session that nobody closed has ended."""

    idle_seconds: Annotated[int, Whole("a whole number of seconds", 1, 7 * DAY_S)] = 120


class Logging(Struct, frozen=True):
    """How much is logged, and in which form."""

    format: Annotated[LogFormat, OneOf(LogFormat)] = LogFormat.TEXT
    level: Annotated[LogLevel, OneOf(LogLevel)] = LogLevel.INFO


class Alerts(Struct, frozen=True):
    """Where budget alerts are posted; such addresses usually hold a credential."""

    webhook: Annotated[Secret | None, Maybe(PrivateUrl("an http(s) address"))] = None


class Otlp(Struct, frozen=True):
    """Where traces are exported."""

    endpoint: Annotated[str | None, Maybe(Url("an address such as http://localhost:4318"))] = None


class Workers(Struct, frozen=True):
    """How often background work runs."""

    rollup_interval_seconds: Annotated[int, Whole("a whole number of seconds", 1, 7 * DAY_S)] = 900


class Config(Struct, frozen=True):
    """The whole configuration; every part has a default, so an empty file is a valid one."""

    default_project: Annotated[str, ProjectId()] = BUILTIN_PROJECT
    timezone: Annotated[str, Zone()] = "UTC"
    projects: dict[Annotated[str, ProjectId()], Project] = field(default_factory=dict)
    providers: dict[Annotated[str, ProviderId()], ProviderEntry] = field(default_factory=dict)
    cost_tracking: CostTracking = CostTracking()
    prices: dict[Annotated[str, PriceKey()], PriceOverride] = field(default_factory=dict)
    serve: Serve = Serve()
    auth: Auth = Auth()
    storage: Storage = Storage()
    sessions: Sessions = Sessions()
    logging: Logging = Logging()
    alerts: Alerts = Alerts()
    otlp: Otlp = Otlp()
    workers: Workers = Workers()

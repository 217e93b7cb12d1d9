"""What the running sidecar is made of: one value that the API, the pages and the app share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from zoneinfo import ZoneInfo

from msgspec import Struct, field

from voicegw_sidecar.access import Access
from voicegw_sidecar.agent_keys import AgentKeys
from voicegw_sidecar.brands import Brands
from voicegw_sidecar.budgets import Budgets
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.config import Catalog, Loaded
from voicegw_sidecar.jobs import Jobs
from voicegw_sidecar.ledger.prices import PriceBook
from voicegw_sidecar.managed_projects import Judged
from voicegw_sidecar.metrics import Metrics
from voicegw_sidecar.rollup import Rollup
from voicegw_sidecar.sessions import Sessions
from voicegw_sidecar.shares import Shares
from voicegw_sidecar.sign_ins import Guesses, SignIns
from voicegw_sidecar.store.database import Store
from voicegw_sidecar.store.operator_records import ManagedRow, PurgeRow


def _not_yet() -> None:
    """The application that puts things in force is not there yet; it begins with what is there."""


class Runtime(Struct):
    """Everything the outside of one sidecar needs.

    What the configuration says is replaced as a whole by a reload, between two calls and never within one.
    """

    loaded: Loaded
    """The configuration file in force, and the variables it was read with."""
    managed: dict[str, ManagedRow]
    """The projects made at run time, by id; which of them are in force, `judged` says."""
    judged: Judged
    catalog: Catalog
    access: Access
    agent_keys: AgentKeys
    clock: Clock
    zone: ZoneInfo
    prices: PriceBook
    budgets: Budgets
    jobs: Jobs
    store: Store
    sessions: Sessions
    rollup: Rollup
    brands: Brands
    shares: Shares
    sign_ins: SignIns
    guesses: Guesses
    """Wrong keys at the sign-in page."""
    api_guesses: Guesses
    """Wrong keys of programs: one that goes on with an old key keeps nobody from signing in."""
    signing_key: bytes
    started_ns: int
    """Monotonic."""
    metrics: Metrics
    changing: asyncio.Lock
    """Held by whoever changes projects, brands or links, from reading what is there until it is in force."""
    waiting_changes: int = 0
    """Changes that hold the lock or wait for it."""
    purges: list[PurgeRow] = field(default_factory=list)
    """What deleted projects left that is still to be removed."""
    put_in_force: Callable[[], None] = _not_yet
    """Lets the next call have what ``loaded`` and ``judged`` say."""
    is_ready: bool = False
    is_draining: bool = False
    stop_now: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it was told a second time to stop: what the next start can do is left to it."""
    config_error: str | None = None
    """Why the latest reload was refused; None while the file is in force."""
    trace_error: str | None = None
    """Why no traces are exported although they are asked for."""
    waiting_for_restart: tuple[str, ...] = ()
    """Keys of the file that a reload could not put in force."""

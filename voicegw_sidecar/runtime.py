"""What the running sidecar is made of: one value that the API, the pages and the app share."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

from msgspec import Struct

from voicegw_sidecar.access import Access
from voicegw_sidecar.agent_keys import AgentKeys
from voicegw_sidecar.budgets import Budgets
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.config.catalog import Catalog
from voicegw_sidecar.jobs import Jobs
from voicegw_sidecar.ledger.prices import PriceBook
from voicegw_sidecar.rollup import Rollup
from voicegw_sidecar.sessions import Sessions
from voicegw_sidecar.store.database import Store


class Runtime(Struct):
    """Everything the outside of one sidecar needs.

    What the configuration says is replaced as a whole by a reload, between two calls and never within one.
    """

    catalog: Catalog
    config_path: Path | None
    not_in_force: tuple[str, ...]
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
    started_ns: int
    """Monotonic."""
    is_ready: bool = False
    is_draining: bool = False
    config_error: str | None = None
    """Why the latest reload was refused; None while the file is in force."""
    waiting_for_restart: tuple[str, ...] = ()
    """Keys of the file that a reload could not put in force."""

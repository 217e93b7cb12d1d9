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
from voicegw_sidecar.store.database import Store


class Runtime(Struct):
    """Everything the outside of one sidecar needs; only ``is_ready`` and ``is_draining`` change."""

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
    started_ns: int
    """Monotonic."""
    is_ready: bool = False
    is_draining: bool = False

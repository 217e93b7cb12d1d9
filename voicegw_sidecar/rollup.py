"""What the router knows of latencies: the roll-up of the last 24 hours, and the newest observations one by one.

The roll-up runs at start, at intervals and at shutdown; the windows of the adaptive policy are fed as exchanges end.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import apsw

from voicegw_sidecar.clock import Clock
from voicegw_sidecar.ids import first_id_at
from voicegw_sidecar.picks import Seen
from voicegw_sidecar.routing.latency import WINDOW_NS, Key, Observed
from voicegw_sidecar.routing.window import Window
from voicegw_sidecar.store.database import Store
from voicegw_sidecar.store.queries.latencies import Sample, StoredObservation, roll_up, windows_of
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.store.session_records import FORGET_OBSERVATIONS, observe
from voicegw_sidecar.terms import NS_PER_S, ROUTED, Status

logger = logging.getLogger(__name__)


class Rollup:
    """What was observed in each project, brought up to date by `refresh` and `note`."""

    def __init__(self, store: Store, clock: Clock, stored: list[StoredObservation], newest: list[Sample]) -> None:
        self._store = store
        self._clock = clock
        self._observed: dict[str, dict[Key, Observed]] = {}
        for row in stored:
            self._observed.setdefault(row.project, {})[row.key] = row.observed
        self._windows = windows_of(newest)
        self.rolled_up_ns: int | None = None
        """When this process last rolled up, wall clock."""

    def seen(self, project: str) -> Seen:
        """Return what was observed in a project."""
        window = self._windows.get(project)
        return Seen(self._observed.get(project, {}), window or Window(), self._clock.wall_ns())

    def note(self, row: ExchangeRow) -> None:
        """Take an exchange that ended: one that succeeded is an observation."""
        if row.status is Status.OK and row.first_ms is not None and row.modality in ROUTED:
            window = self._windows.setdefault(row.project, Window())
            window.note(row.modality, row.provider, row.model, row.first_ms, row.ended_ns or row.started_ns)

    async def refresh(self) -> None:
        """Roll up the window that ends now; on trouble with the disk the last one stays."""
        end_ns = self._clock.wall_ns()
        start_ns = end_ns - WINDOW_NS
        await self._store.committed()
        try:
            rows = await self._store.read(roll_up, first_id_at(start_ns))
        except apsw.Error as error:
            logger.error("latencies could not be rolled up", extra={"error": type(error).__name__})
            return
        observed: dict[str, dict[Key, Observed]] = {}
        for row in rows:
            found = Observed(row.p50_ms, row.p95_ms, row.sample_count)
            observed.setdefault(row.project, {})[row.modality, row.provider, row.model] = found
        self._observed = observed
        self.rolled_up_ns = end_ns
        start, end = _iso(start_ns), _iso(end_ns)
        await self._store.committed(FORGET_OBSERVATIONS, *(observe(row, start, end, end) for row in rows))


def _iso(wall_ns: int) -> str:
    return datetime.fromtimestamp(wall_ns / NS_PER_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

"""The budgets of a running sidecar: what the ledger says about each project's day, and what is reserved in it.

Everything is in memory and synchronous. Seeded from the database at start; from then on every exchange that
opens holds its part and settles it when it ends, whether its row reaches the disk or not.
"""

from __future__ import annotations

import logging
from datetime import tzinfo

from msgspec import Struct

from voicegw_sidecar.clock import Clock
from voicegw_sidecar.config.schema import Project
from voicegw_sidecar.ledger.budget import RecentCosts, Verdict, verdict
from voicegw_sidecar.ledger.calendar import day_shares
from voicegw_sidecar.ledger.spend import Hold, Spend
from voicegw_sidecar.store.queries.budgets import Seed
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.terms import Modality

logger = logging.getLogger(__name__)


class Standing(Struct, frozen=True):
    """How a project's day stands, in nano-dollars."""

    spent_nanousd: int
    in_flight_nanousd: int


class Budgets:
    """Shared by all connections of one sidecar."""

    def __init__(self, clock: Clock, zone: tzinfo) -> None:
        self._clock = clock
        self._zone = zone
        self._spend = Spend(zone)
        self._recent = RecentCosts()
        self._told: dict[str, str] = {}

    def seed(self, found: Seed) -> None:
        """Take over what the database says: the last days' totals, and the latest costs, oldest first."""
        for project, day, nanousd in found.days:
            self._spend.add(project, day, nanousd)
        for provider, model, modality, nanousd in found.costs:
            self._recent.note(provider, model, Modality(modality), nanousd)

    def standing(self, project_id: str) -> Standing:
        """Return what a project has spent today and has in flight."""
        now_ns = self._clock.wall_ns()
        return Standing(self._spend.spent(project_id, now_ns), self._spend.in_flight(project_id))

    @property
    def open_holds(self) -> int:
        """How many exchanges hold a part of some budget."""
        return self._spend.open_holds

    def verdict(self, project: Project) -> Verdict:
        """Judge a project's next exchange; the first time on a day that a budget is reached it is logged."""
        limit_nanousd = project.daily_budget_nanousd
        if limit_nanousd is None:
            return Verdict.ADMIT
        now_ns = self._clock.wall_ns()
        spent_nanousd = self._spend.spent(project.id, now_ns)
        found = verdict(spent_nanousd, self._spend.in_flight(project.id), limit_nanousd, project.budget_action)
        if found is not Verdict.ADMIT:
            self._tell(project, self._spend.today(now_ns))
        return found

    def hold(self, project_id: str, provider: str, model: str | None, modality: Modality) -> Hold:
        """Reserve what an exchange is expected to cost."""
        expected_nanousd = self._recent.expected(provider, model, modality)
        return self._spend.hold(project_id, expected_nanousd, self._clock.wall_ns())

    def name(self, hold: Hold, provider: str, model: str | None, modality: Modality) -> None:
        """Reserve by the model, now that it is known."""
        self._spend.reserve(hold, self._recent.expected(provider, model, modality))

    def free(self, hold: Hold) -> None:
        """Reserve nothing: what it will cost is not known, and not guessed."""
        self._spend.reserve(hold, 0)

    def grow(self, hold: Hold, running_nanousd: int) -> None:
        """Tell what an open exchange has cost so far."""
        self._spend.grow(hold, running_nanousd, self._clock.wall_ns())

    def release(self, hold: Hold) -> None:
        """Let go of a hold; its exchange never began, or its cost is counted already."""
        self._spend.settle(hold)

    def count(self, row: ExchangeRow) -> None:
        """Count a closed row on its days, as its daily totals are."""
        if not row.cost_nanousd:
            return
        if row.modality is not None:
            self._recent.note(row.provider, row.model, row.modality, row.cost_nanousd)
        for day, nanousd in day_shares(row.cost_nanousd, row.modality, row.started_ns, row.ended_ns, self._zone):
            self._spend.add(row.project, day, nanousd)

    def _tell(self, project: Project, day: str) -> None:
        if self._told.get(project.id) != day:
            self._told[project.id] = day
            logger.warning(
                "daily budget reached", extra={"project": project.id, "action": project.budget_action, "day": day}
            )

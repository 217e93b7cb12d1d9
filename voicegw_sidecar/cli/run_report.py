"""What ``run`` says at the end: the exchanges of this run by provider and kind of work, and their cost.

Asked of the sidecar over HTTP, whoever started it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

from msgspec import Struct, field

from voicegw_sidecar.cli.listener import get
from voicegw_sidecar.cli.output import UNKNOWN, say, say_table, usd
from voicegw_sidecar.control_client import NoAnswer
from voicegw_sidecar.terms import FAILED, NS_PER_S, Modality, Secret, Status

_PAGE_ROWS = 1000
_MOST_PAGES = 100
_SETTLE_LIMIT_S = 5.0
_LOOK_EVERY_S = 0.05


class Row(Struct, frozen=True):
    """What is read of an exchange."""

    provider: str
    modality: Modality | None
    status: Status
    cost_usd: float | None
    estimated: bool


class _Page(Struct, frozen=True):
    logs: list[Row]
    next: str | None


class _Database(Struct, frozen=True):
    waiting_rows: int


class _Standing(Struct, frozen=True):
    database: _Database
    cost_tracking: bool


class Sum(Struct):
    """What exchanges come to; those of unknown cost are counted and in no sum."""

    exchanges: int = 0
    failed: int = 0
    cost_usd: float = 0.0
    unpriced: int = 0
    is_estimated: bool = False

    def add(self, row: Row) -> None:
        """Count a row; the billed silence of a stream costs, but is no exchange."""
        if row.status is not Status.IDLE:
            self.exchanges += 1
        self.failed += row.status in FAILED
        self.cost_usd += row.cost_usd or 0.0
        if row.cost_usd is None and row.status is not Status.REFUSED:
            self.unpriced += 1
        self.is_estimated |= row.estimated

    def cost(self) -> str:
        """Show the cost as far as it is known."""
        if self.unpriced and not self.cost_usd:
            return "unknown"
        known = f"{'~' if self.is_estimated else ''}{usd(self.cost_usd)}"
        return f"{known} and {self.unpriced} unknown" if self.unpriced else known


class Report(Struct):
    """The exchanges of a run."""

    sums: dict[tuple[str, Modality | None], Sum] = field(default_factory=dict)
    total: Sum = field(default_factory=Sum)
    still_open: int = 0
    is_cut: bool = False
    """There were more exchanges than are read."""

    def providers(self) -> frozenset[str]:
        """Return who was seen."""
        return frozenset(provider for provider, _ in self.sums)


class Asked(Struct, frozen=True):
    """Of whom, and since when; ``project`` where others use the same sidecar too."""

    address: str
    key: Secret | None
    since_ns: int
    project: str | None


def report(asked: Asked) -> Report | None:
    """Return what happened, once it is all written or waited for long enough; None where nothing is recorded."""
    if not get(asked.address, "/v1/status", _Standing, key=asked.key).cost_tracking:
        return None
    found = Report(still_open=_settled(asked))
    before: str | None = None
    for _ in range(_MOST_PAGES):
        page = _page(asked, {"before": before} if before else {})
        for row in page.logs:
            found.total.add(row)
            found.sums.setdefault((row.provider, row.modality), Sum()).add(row)
        before = page.next
        if before is None:
            return found
    found.is_cut = True
    return found


def _settled(asked: Asked) -> int:
    """Wait until what the agent left behind is over and stored; return how much is not."""
    end_ns = time.monotonic_ns() + int(_SETTLE_LIMIT_S * NS_PER_S)
    while True:
        waiting = get(asked.address, "/v1/status", _Standing, key=asked.key).database.waiting_rows
        still_open = len(_page(asked, {"status": Status.OPEN.value}).logs)
        if not (waiting or still_open) or time.monotonic_ns() > end_ns:
            return still_open
        time.sleep(_LOOK_EVERY_S)


def _page(asked: Asked, more: Mapping[str, str]) -> _Page:
    since = datetime.fromtimestamp(asked.since_ns / NS_PER_S, UTC).isoformat()
    parameters = {"from": since, "limit": str(_PAGE_ROWS), **more}
    if asked.project is not None:
        parameters["project"] = asked.project
    return get(asked.address, f"/v1/logs?{urlencode(parameters)}", _Page, key=asked.key)


def tell(asked: Asked) -> frozenset[str] | None:
    """Print the figures; return the providers that were seen, None where that cannot be told."""
    try:
        found = report(asked)
    except NoAnswer as error:
        say(f"No figures: {error.message}")
        return None
    if found is None:
        say("No figures: cost_tracking.enabled is false.")
        return None
    whose = "" if asked.project is None else f" of project {asked.project}, all its agents together,"
    if not found.sums:
        say(f"No exchange{whose} came through the sidecar.")
        return frozenset()
    since = datetime.fromtimestamp(asked.since_ns / NS_PER_S, UTC)
    say(f"Exchanges{whose} since {since:%H:%M:%S} UTC:")
    say_table(("PROVIDER", "KIND", "EXCHANGES", "FAILED", "USD"), list(_rows(found)), right=(2, 3))
    if found.still_open:
        say(f"{found.still_open} are still open and not in these figures.")
    if found.is_cut:
        say(f"These are the newest {_MOST_PAGES * _PAGE_ROWS:,}; 'voicegw-sidecar costs' counts all.")
    return found.providers()


def _rows(found: Report) -> Iterator[tuple[str, ...]]:
    for (provider, modality), one in sorted(found.sums.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        yield provider, modality or UNKNOWN, str(one.exchanges), str(one.failed), one.cost()
    yield "total", "", str(found.total.exchanges), str(found.total.failed), found.total.cost()

"""From a metered exchange to a stored row: price it, then queue it. One function each way, in that order."""

from __future__ import annotations

import asyncio

from msgspec import Struct

from voicegw_sidecar.clock import Clock
from voicegw_sidecar.ids import IdSource
from voicegw_sidecar.ledger.prices import NO_COST, UNKNOWN_COST, PriceBook, Priced
from voicegw_sidecar.store.database import Store
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.terms import NOTHING_USED, Cost, Exchange, Mark


class Identity(Struct, frozen=True):
    """What an exchange's connection knows of it: whose it is, and how its provider and price are named."""

    project: str
    session_id: str | None
    provider: str
    catalogue_provider: str | None
    is_local: bool


class Recorder:
    """Writes rows; shared by all connections of one sidecar."""

    def __init__(self, store: Store, prices: PriceBook, clock: Clock) -> None:
        self._store = store
        self.prices = prices
        self._clock = clock
        self._ids = IdSource()

    def next_id(self) -> str:
        """Return a fresh exchange id."""
        return self._ids.next(self._clock.wall_ns())

    def wall_ns(self, monotonic_ns: int) -> int:
        """Return the wall-clock time of a monotonic stamp of this process."""
        return self._clock.wall_ns() - (self._clock.monotonic_ns() - monotonic_ns)

    def opened(self, row_id: str, identity: Identity, exchange: Exchange) -> None:
        """Queue an exchange's open row, with what it has used so far: what a crash would leave of it.

        It is priced only if it comes to that, at the next start.
        """
        self._store.append(self._row(row_id, identity, exchange, UNKNOWN_COST, None))

    def closed(
        self, row_id: str, identity: Identity, exchange: Exchange, catalogue_model: str | None, http_status: int | None,
        *, is_unbilled: bool,
    ) -> asyncio.Future[None]:  # fmt: skip
        """Queue an exchange's final row; the future is its commit.

        ``is_unbilled``: the provider refused it or was never reached, so nothing was used and nothing is owed.
        """
        if is_unbilled and exchange.usage == NOTHING_USED:
            cost = NO_COST
        else:
            cost = self._cost(identity, exchange, catalogue_model)
        return self._store.append_awaited(self._row(row_id, identity, exchange, cost, http_status))

    def late(self, row_id: str) -> None:
        """Mark a row whose call went on before its commit."""
        self._store.mark_late(row_id)

    def _row(
        self, row_id: str, identity: Identity, exchange: Exchange, cost: Cost, http_status: int | None
    ) -> ExchangeRow:
        ended_ns = exchange.marks_ns.get(Mark.ENDED)
        return ExchangeRow(
            id=row_id,
            project=identity.project,
            provider=identity.provider,
            started_ns=self.wall_ns(exchange.marks_ns[Mark.STARTED]),
            status=exchange.status,
            ended_ns=None if ended_ns is None else self.wall_ns(ended_ns),
            session_id=identity.session_id,
            model=exchange.model,
            modality=exchange.modality,
            http_status=http_status,
            first_ms=exchange.first_ms,
            first_ms_basis=exchange.first_ms_basis,
            total_ms=exchange.total_ms,
            usage=exchange.usage,
            estimated=exchange.estimated or cost.estimated,
            cost_nanousd=cost.nanousd,
            cost_source=cost.source,
            error=exchange.error,
        )

    def _cost(self, identity: Identity, exchange: Exchange, catalogue_model: str | None) -> Cost:
        return self.prices.cost(
            Priced(
                provider=identity.provider,
                model=exchange.model,
                modality=exchange.modality,
                usage=exchange.usage,
                catalogue_provider=identity.catalogue_provider,
                catalogue_model=catalogue_model,
                is_local=identity.is_local,
            )
        )

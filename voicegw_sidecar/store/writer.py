"""The one thread that writes: a queue, and as many rows to a commit as wait for it.

Rows wait in memory while the disk is locked, full or slow: at most ``LIMIT_ROWS``, then the newest are
dropped and counted. Nothing here ever blocks the event loop; who wants to know of a commit gets a callback.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import tzinfo

import apsw
from msgspec import Struct

from voicegw_sidecar.ledger.calendar import day_of, day_shares
from voicegw_sidecar.store.migrate import transaction
from voicegw_sidecar.store.records import (
    ADD_TO_DAY,
    COUNT_JOB,
    MARK_LATE,
    WRITE_EXCHANGE,
    ExchangeRow,
    Value,
    bindings,
)
from voicegw_sidecar.terms import Status

logger = logging.getLogger(__name__)

LIMIT_ROWS = 50_000
BATCH_ROWS = 500
_RETRY_FIRST_S, _RETRY_LAST_S = 0.05, 1.0
_TRANSIENT = (apsw.BusyError, apsw.LockedError, apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError)
_UNCOUNTED = frozenset({Status.OPEN, Status.REFUSED, Status.IDLE})


class WriteRow(Struct, frozen=True):
    """Insert an open row, or close one."""

    row: ExchangeRow
    committed: Callable[[], None] | None = None
    job: tuple[str, str] | None = None
    """Provider and id of the job that is counted with this row."""

    @property
    def is_closing(self) -> bool:
        """True for a row that ends its exchange."""
        return self.row.status is not Status.OPEN


class WriteOther(Struct, frozen=True):
    """Statements with their values, run one after the other; with none, only the word that all before is committed."""

    statements: tuple[tuple[str, tuple[Value, ...]], ...] = ()
    committed: Callable[[], None] | None = None
    rejected: Callable[[], None] | None = None
    """Is told instead where the schema refuses one of the statements."""


class WriteLate(Struct, frozen=True):
    """Mark a row whose commit took longer than its call could wait."""

    id: str


Write = WriteRow | WriteOther | WriteLate


class WriterState(Struct, frozen=True):
    """How the writer stands, for ``/ready`` and ``/v1/status``."""

    waiting_rows: int
    limit_rows: int
    dropped_rows: int
    rejected_rows: int
    trouble: str | None


class Writer:
    """Owns the writing connection; made and run on its own thread by `start`."""

    def __init__(self, connection: apsw.Connection, node_id: str, zone: tzinfo) -> None:
        self._connection = connection
        self._node_id = node_id
        self._zone = zone
        self._queue: deque[Write] = deque()
        self._batch: list[Write] = []
        self._refused: set[int] = set()
        """Which writes of the batch the schema refused."""
        self._wake = threading.Event()
        self._stop_at_once = threading.Event()
        self._stopping = False
        self._dropped = 0
        self._rejected = 0
        self._trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def append(self, write: Write) -> None:
        """Queue a write; never waits, and does not wake the thread.

        At the limit it is dropped and counted, unless somebody waits for statements of theirs: those are few.
        """
        is_awaited = isinstance(write, WriteOther) and write.committed is not None
        if len(self._queue) + len(self._batch) >= LIMIT_ROWS and not is_awaited:
            self._dropped += 1
        else:
            self._queue.append(write)

    def wake(self) -> None:
        """Let the thread write what is queued."""
        self._wake.set()

    def state(self) -> WriterState:
        """Return the current figures."""
        waiting = len(self._queue) + len(self._batch)
        return WriterState(waiting, LIMIT_ROWS, self._dropped, self._rejected, self._trouble)

    def stop(self, wait_s: float) -> int:
        """Write what waits, for at most ``wait_s``, end the thread and return how many rows were lost."""
        self._stopping = True
        self._wake.set()
        self._thread.join(wait_s)
        self._stop_at_once.set()
        self._thread.join(1.0)
        return len(self._queue) + len(self._batch)

    def _run(self) -> None:
        try:
            self._write_until_stopped()
        finally:
            self._empty_log()
            self._connection.close()

    def _empty_log(self) -> None:
        """Leave everything in the one file, so that whoever copies a stopped sidecar's database has all of it."""
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error as error:  # locked, full or gone: it stays in the log, which the next start reads
            logger.debug("the write-ahead log stays", extra={"error": type(error).__name__})

    def _write_until_stopped(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._queue:
                while self._queue and len(self._batch) < BATCH_ROWS:
                    self._batch.append(self._queue.popleft())
                if not self._write_batch():
                    return
            if self._stopping:
                return

    def _write_batch(self) -> bool:
        """Commit the batch, retrying while the disk is in trouble; False when told to stop at once."""
        delay_s = _RETRY_FIRST_S
        while True:
            try:
                self._commit_batch()
                break
            except _TRANSIENT as error:
                self._report(type(error).__name__)
                if self._stop_at_once.wait(delay_s):
                    return False
                delay_s = min(delay_s * 2, _RETRY_LAST_S)
        if self._trouble is not None:
            logger.warning("store recovered", extra={"rows": len(self._batch)})
            self._trouble = None
        done, self._batch = self._batch, []
        for write in done:
            if isinstance(write, WriteOther) and id(write) in self._refused:
                if write.rejected is not None:
                    write.rejected()
            elif not isinstance(write, WriteLate) and write.committed is not None:
                write.committed()
        self._refused.clear()
        return True

    def _commit_batch(self) -> None:
        """Write the batch in one transaction; if the schema refuses a row, keep every other row of it.

        Writing a row again is harmless: a closed row is never written, and never counted, twice.
        """
        closed = {write.row.id for write in self._batch if isinstance(write, WriteRow) and write.is_closing}
        try:
            with transaction(self._connection):
                for write in self._batch:
                    # an exchange that began and ended within one batch needs no open row
                    if not isinstance(write, WriteRow) or write.is_closing or write.row.id not in closed:
                        self._apply(write)
        except _TRANSIENT:
            raise
        except Exception:  # whatever one row brings, the thread that writes all of them lives on
            for write in self._batch:
                try:
                    with transaction(self._connection):
                        self._apply(write)
                except _TRANSIENT:
                    raise
                except Exception as error:
                    self._rejected += 1
                    self._refused.add(id(write))
                    logger.error("row rejected", extra={"error": type(error).__name__})

    def _report(self, trouble: str) -> None:
        if self._trouble != trouble:
            logger.warning("store is in trouble, rows wait", extra={"error": trouble})
            self._trouble = trouble

    def _apply(self, write: Write) -> None:
        if isinstance(write, WriteLate):
            self._connection.execute(MARK_LATE, (write.id,))
            return
        if isinstance(write, WriteOther):
            for statement, values in write.statements:
                self._connection.execute(statement, values)
            return
        row = write.row
        self._connection.execute(WRITE_EXCHANGE, bindings(row, self._node_id))
        if row.status is not Status.OPEN and self._connection.changes():
            add_to_days(self._connection, row, self._zone)
            if write.job is not None:
                self._connection.execute(COUNT_JOB, (*write.job, row.id))


def add_to_days(connection: apsw.Connection, row: ExchangeRow, zone: tzinfo) -> None:
    """Add a closed row to its day's totals, in the transaction that closes it."""
    names = (row.modality or "", row.provider, row.model or "")
    first_day = day_of(row.started_ns, zone)
    for day, nanousd in day_shares(row.cost_nanousd or 0, row.modality, row.started_ns, row.ended_ns, zone):
        counted = int(day == first_day and row.status not in _UNCOUNTED)
        unpriced = int(day == first_day and row.cost_nanousd is None)
        connection.execute(ADD_TO_DAY, (row.project, day, *names, counted, nanousd, unpriced))

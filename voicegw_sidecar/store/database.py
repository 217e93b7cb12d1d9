"""The database file: opened, locked to one sidecar, migrated, written by one thread and read by others.

Everything that touches SQLite runs on a thread of this module: a 200 ms report on the event loop would be
200 ms of silence in a phone call.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import tzinfo
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import apsw
from msgspec.structs import replace

from voicegw_sidecar.errors import StoreFailed
from voicegw_sidecar.ids import IdSource
from voicegw_sidecar.store.migrate import migrate, migrations, refuse_newer, schema_version, transaction
from voicegw_sidecar.store.records import READ_EXCHANGE, WRITE_EXCHANGE, ExchangeRow, Value, bindings, from_columns
from voicegw_sidecar.store.writer import WriteLate, WriteOther, Writer, WriteRow, WriterState, add_to_days
from voicegw_sidecar.terms import Cost, Status

READERS = 3
HOLD_S = 0.02
"""How long the last piece of a finished exchange waits for its row (contract §6)."""
GATHER_S = 0.01
"""How long a row that nobody waits for may gather others: a thread woken for each costs more than its write."""
_FLUSH_AT_CLOSE_S = 5.0

P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """An open database. Make it with `open_store`; `close` it."""

    def __init__(self, path: Path, writer: Writer, lock_fd: int, schema: int, node_id: str, ids: IdSource) -> None:
        self.path = path
        self.ids = ids
        """Makes the ids of all rows, which sort as they were made, whatever the clock did."""
        self.schema = schema
        self.node_id = node_id
        self._writer = writer
        self._lock_fd = lock_fd
        self._wake_up: asyncio.TimerHandle | None = None
        self._local = threading.local()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._first = ThreadPoolExecutor(1, thread_name_prefix="store-first")

    def append(self, row: ExchangeRow) -> None:
        """Queue a row; never waits. It is written with the next awaited one, or `GATHER_S` later."""
        self._writer.append(WriteRow(row))
        self._wake_soon()

    def execute(self, *statements: tuple[str, tuple[Value, ...]]) -> None:
        """Queue statements; never waits. They run in one transaction, after all that was queued before."""
        self._writer.append(WriteOther(statements))
        self._wake_soon()

    def committed(self, *statements: tuple[str, tuple[Value, ...]]) -> asyncio.Future[None]:
        """Queue statements; return a future that is resolved once they, and all queued before, are committed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        refused = StoreFailed("the database refuses what was to be written; see the sidecar's log")
        self._writer.append(WriteOther(statements, lambda: _tell(loop, future), lambda: _tell(loop, future, refused)))
        self._writer.wake()
        return future

    def append_awaited(self, row: ExchangeRow, job: tuple[str, str] | None = None) -> asyncio.Future[None]:
        """Queue a row, and the job that is counted with it; return a future that its commit resolves."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._writer.append(WriteRow(row, lambda: _tell(loop, future), job))
        self._writer.wake()
        return future

    def mark_late(self, row_id: str) -> None:
        """Mark a row whose call went on before its commit."""
        self._writer.append(WriteLate(row_id))
        self._writer.wake()

    def state(self) -> WriterState:
        """Return how the writer stands."""
        return self._writer.state()

    async def read(self, query: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``query(connection, …)`` on a reader thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: query(self._reader(), *args, **kwargs))

    async def read_first(
        self, query: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a quick query that a conversation waits for, on a thread that no list and no report ever takes."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._first, lambda: query(self._reader(), *args, **kwargs))

    async def close(self) -> int:
        """Write what waits, close everything and return how many rows could not be written."""
        if self._wake_up is not None:
            self._wake_up.cancel()
        lost = await asyncio.to_thread(self._writer.stop, _FLUSH_AT_CLOSE_S)
        await asyncio.to_thread(self._readers.shutdown)
        await asyncio.to_thread(self._first.shutdown)
        os.close(self._lock_fd)
        return lost

    def _wake_soon(self) -> None:
        if self._wake_up is None:
            self._wake_up = asyncio.get_running_loop().call_later(GATHER_S, self._wake)

    def _wake(self) -> None:
        self._wake_up = None
        self._writer.wake()

    def _reader(self) -> apsw.Connection:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = open_for_reading(self.path)
        return connection


def open_store(path: Path, zone: tzinfo, wall_ns: int, price: Callable[[ExchangeRow], Cost]) -> Store:
    """Open, lock and migrate the database, close what a crash left open, and start the writer.

    ``price`` puts a cost on what such an exchange had used by then.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock_fd = _lock(path)
        # whose calls there were and what they cost is nobody else's: SQLite gives its other files the same mode
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreFailed(
            f"cannot use {path} as the database: {error.strerror}; name another with cost_tracking.db_path"
        ) from None
    try:
        connection = apsw.Connection(str(path))
        connection.set_busy_timeout(100)
        refuse_newer(connection)
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "normal")
        schema = migrate(connection)
        ids = _ids(connection)
        node_id = _node_id(connection, ids, wall_ns)
        _close_interrupted(connection, node_id, zone, price)
    except apsw.Error as error:
        os.close(lock_fd)
        raise StoreFailed(
            f"cannot open {path} as a database: {type(error).__name__}: {error}; "
            "move it away or name another with cost_tracking.db_path"
        ) from None
    except StoreFailed:
        os.close(lock_fd)
        raise
    writer = Writer(connection, node_id, zone)
    writer.start()
    return Store(path, writer, lock_fd, schema, node_id, ids)


def open_for_reading(path: Path) -> apsw.Connection:
    """Open the database read-only: for pages, the API and the command line."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(1000)
    schema = schema_version(connection)
    if schema == 0:
        raise StoreFailed(f"{path} holds no voicegw-sidecar database")
    if schema != len(migrations()):
        raise StoreFailed(
            f"{path} has schema {schema}, this program knows {len(migrations())}: start the sidecar of this version "
            "once with 'voicegw-sidecar serve', or use the program that wrote it"
        )
    return connection


def read_once(path: Path, query: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run one query on a connection of its own: before there is a loop."""
    connection = open_for_reading(path)
    try:
        return query(connection, *args, **kwargs)
    finally:
        connection.close()


def _tell(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None], refused: StoreFailed | None = None) -> None:
    def resolve() -> None:
        if future.done():
            return
        if refused is not None:
            future.set_exception(refused)
        else:
            future.set_result(None)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(resolve)


def _lock(path: Path) -> int:
    """Take the lock beside the database; it goes with the process, however that ends."""
    lock_fd = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(lock_fd, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(lock_fd)
        raise StoreFailed(
            f"{path} is in use by the sidecar with process id {owner}; stop that one or name another database"
        ) from None
    os.ftruncate(lock_fd, 0)
    os.write(lock_fd, f"{os.getpid()}\n".encode())
    return lock_fd


def _ids(connection: apsw.Connection) -> IdSource:
    """Return a source that goes on after the ids there are."""
    ids = IdSource()
    for table, column in (("exchange", "id"), ("session", "uid"), ("membership", "id"), ("audit", "id")):
        greatest = connection.execute(f"SELECT max({column}) FROM {table}").fetchall()[0][0]  # noqa: S608 - constants
        ids.start_after(str(greatest))
    return ids


def _node_id(connection: apsw.Connection, ids: IdSource, wall_ns: int) -> str:
    found = connection.execute("SELECT id FROM node").fetchone()
    if found is not None:
        return str(found[0])
    node_id = ids.next(wall_ns)
    connection.execute("INSERT INTO node (id, created_ns) VALUES (?, ?)", (node_id, wall_ns))
    return node_id


def _close_interrupted(
    connection: apsw.Connection, node_id: str, zone: tzinfo, price: Callable[[ExchangeRow], Cost]
) -> None:
    """Close what was open when the last run died; what it used by then is priced and flagged as an estimate."""
    with transaction(connection):
        query = f"SELECT {READ_EXCHANGE} FROM exchange WHERE status = 'open' AND node_id = ?"  # noqa: S608 - constant
        for values in connection.execute(query, (node_id,)).fetchall():
            left = from_columns(values)
            cost = price(left)
            row = replace(
                left, status=Status.INTERRUPTED, estimated=True, cost_nanousd=cost.nanousd, cost_source=cost.source
            )
            connection.execute(WRITE_EXCHANGE, bindings(row, node_id))
            add_to_days(connection, row, zone)

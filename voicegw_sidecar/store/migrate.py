"""Numbered SQL migrations, applied in order inside one transaction each; ``PRAGMA user_version`` counts them.

A database newer than the program is refused before anything is written to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from voicegw_sidecar.errors import StoreFailed

_MIGRATIONS = Path(__file__).parent / "migrations"


def migrations() -> list[Path]:
    """Return the migration files, oldest first; file number N brings the schema to version N."""
    return sorted(_MIGRATIONS.glob("[0-9]*.sql"))


def refuse_newer(connection: apsw.Connection) -> None:
    """Raise `StoreFailed` for a database that a newer program wrote; to be asked before anything is written to it."""
    found, known = schema_version(connection), len(migrations())
    if found > known:
        raise StoreFailed(
            f"database schema is version {found}, this program knows {known}: "
            "it was written by a newer version; start that one, or name another database"
        )


def migrate(connection: apsw.Connection) -> int:
    """Bring the schema to the newest version and return it."""
    files = migrations()
    found = schema_version(connection)
    for version, file in enumerate(files[found:], start=found + 1):
        with transaction(connection):
            connection.execute(file.read_text(encoding="utf-8"))
            connection.pragma("user_version", version)
    return len(files)


def schema_version(connection: apsw.Connection) -> int:
    """Return the version of the schema in the file; 0 for a new one."""
    return int(str(connection.pragma("user_version")))


@contextmanager
def transaction(connection: apsw.Connection) -> Iterator[None]:
    """Run a plain transaction.

    Not the library's own savepoints: on a full disk SQLite rolls the whole transaction back by itself, and
    releasing a savepoint that is gone would hide the reason.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise

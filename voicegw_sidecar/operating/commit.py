"""One change: its statements and its line in the log of changes in one transaction, then what puts it in force."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from voicegw_sidecar import tasks
from voicegw_sidecar.errors import StoreFailed
from voicegw_sidecar.ids import IdSource
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.operator_records import AuditRow, write_audit
from voicegw_sidecar.store.session_records import Statement

PATIENCE_S = 5.0
_ids = IdSource()


class Change(Struct, frozen=True):
    """Who changed what. ``before`` and ``after`` become JSON; neither ever holds a key."""

    actor: str
    action: str
    project: str | None
    before: object = None
    after: object = None


async def commit(runtime: Runtime, change: Change, statements: Sequence[Statement], then: Callable[[], None]) -> None:
    """Write a change and put it in force by ``then``; raises `StoreFailed` where the disk takes too long.

    It is carried out all the same as soon as the disk can, also when whoever asked for it is gone.
    """
    work = tasks.spawn(_commit(runtime, change, statements, then), name=f"change {change.action}")
    done, _ = await asyncio.wait((work,), timeout=PATIENCE_S)
    if not done:
        raise StoreFailed("the database cannot be written at the moment; the change is in force once it can")
    await work  # where putting it in force failed, whoever asked is told


async def _commit(runtime: Runtime, change: Change, statements: Sequence[Statement], then: Callable[[], None]) -> None:
    await runtime.store.committed(*statements, audit_statement(runtime, change))
    then()


def audit_statement(runtime: Runtime, change: Change) -> Statement:
    """Return the statement that writes a change's line in the log."""
    now_ns = runtime.clock.wall_ns()
    row = AuditRow(
        _ids.next(now_ns), now_ns, change.actor, change.action, change.project, _json(change.before),
        _json(change.after),
    )  # fmt: skip
    return write_audit(row, runtime.store.node_id)


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()

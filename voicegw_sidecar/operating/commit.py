"""One change after the other: checked, committed with its line in the log of changes, put in force.

A change is carried out by a task of its own that holds the lock from its check until all that follows from it is done:
whoever asked for it may hang up, or be told after a while that the disk is slow, and it is carried out all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from voicegw_sidecar import tasks
from voicegw_sidecar.errors import SidecarError, StoreFailed
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.operator_records import AuditRow, write_audit
from voicegw_sidecar.store.session_records import Statement

PATIENCE_S = 5.0
WAITING_LIMIT = 32
"""Changes that may wait for the one before; one more is told to come again."""

T = TypeVar("T")


class Change(Struct, frozen=True):
    """Who changed what. ``before`` and ``after`` become JSON; neither ever holds a key."""

    actor: str
    action: str
    project: str | None
    before: object = None
    after: object = None


async def carry_out(runtime: Runtime, name: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Carry out a change after those before it; raises what it refuses with, or `StoreFailed` after a while."""
    if runtime.waiting_changes >= WAITING_LIMIT:
        raise StoreFailed("too many changes wait for the database; try again once it can be written")
    task = tasks.spawn(_alone(runtime, work), name=f"change: {name}")
    done, _ = await asyncio.wait((task,), timeout=PATIENCE_S)
    if not done:
        raise StoreFailed("the database cannot be written at the moment; the change is in force once it can")
    found = task.result()
    if isinstance(found, _Refused):
        raise found.error
    return found


class _Refused(Struct):
    """A change that was not made; a value, since a task that raises has failed."""

    error: SidecarError


async def _alone(runtime: Runtime, work: Callable[[], Coroutine[Any, Any, T]]) -> T | _Refused:
    runtime.waiting_changes += 1
    try:
        async with runtime.changing:
            return await work()
    except SidecarError as error:
        return _Refused(error)
    finally:
        runtime.waiting_changes -= 1


async def commit(runtime: Runtime, change: Change, statements: Sequence[Statement]) -> None:
    """Write a change and its line; returns once both are on the disk, however long that takes."""
    await runtime.store.committed(*statements, audit_statement(runtime, change))


def audit_statement(runtime: Runtime, change: Change) -> Statement:
    """Return the statement that writes a change's line in the log."""
    now_ns = runtime.clock.wall_ns()
    row = AuditRow(
        new_id(runtime), now_ns, change.actor, change.action, change.project, _json(change.before),
        _json(change.after),
    )  # fmt: skip
    return write_audit(row, runtime.store.node_id)


def new_id(runtime: Runtime) -> str:
    """Return an id that sorts after all that was made before."""
    return runtime.store.ids.next(runtime.clock.wall_ns())


def _json(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()

"""Share links made and revoked."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from voicegw_sidecar.operating.commit import Change, carry_out, commit
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.operator_records import ShareRow, revoke_share, write_share
from voicegw_sidecar.store.session_records import Statement


async def create(runtime: Runtime, actor: str, project_id: str, days: int, label: str) -> ShareRow:
    """Make a link to one project; raises `UnknownProject` and `BadRequest`."""

    async def work() -> ShareRow:
        runtime.catalog.project(project_id)
        row = runtime.shares.draft(project_id, days, label, actor)
        after = {"id": row.id, "label": label, "days": days}
        await commit(runtime, Change(actor, "share.create", project_id, after=after), [write_share(row)])
        runtime.shares.add(row)
        return row

    return await carry_out(runtime, "share.create", work)


async def revoke(runtime: Runtime, actor: str, id_: str) -> ShareRow:
    """End a link at once; raises `NotFound`. A second time changes nothing."""
    row = runtime.shares.one(id_)
    if row.revoked_ns is not None:
        return row
    row = runtime.shares.revoke(row)  # before it is written: a link that is to end ends whatever the disk does
    change = Change(actor, "share.revoke", row.project, before={"id": row.id, "label": row.label})

    async def work() -> ShareRow:
        await commit(runtime, change, [revoke_share(row.id, row.revoked_ns or 0)])
        return row

    return await carry_out(runtime, "share.revoke", work)


class Revocations(Struct, frozen=True):
    """The end of all of a project's links."""

    statements: list[Statement]
    put_in_force: Callable[[], None]


def revocations(runtime: Runtime, project_id: str) -> Revocations:
    """Return what ends all links of a project that is deleted: one of the same id made later is somebody else's."""
    valid = [row for row in runtime.shares.of(project_id) if row.revoked_ns is None]
    now_ns = runtime.clock.wall_ns()

    def put_in_force() -> None:
        for row in valid:
            runtime.shares.revoke(row)

    return Revocations([revoke_share(row.id, now_ns) for row in valid], put_in_force)

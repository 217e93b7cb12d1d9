"""What a session comes to: its turns and figures, told from its exchanges."""

from __future__ import annotations

import apsw
from msgspec.structs import replace

from voicegw_sidecar.meter.timed import Turn
from voicegw_sidecar.meter.turns import summary, turns
from voicegw_sidecar.store.queries.sessions import members
from voicegw_sidecar.store.session_records import SessionRow
from voicegw_sidecar.terms import FAILED, Status


def closed_row(connection: apsw.Connection, row: SessionRow, ended_ns: int) -> tuple[SessionRow, list[Turn]]:
    """Return a session's row with its figures, and its turns; runs on a reader thread."""
    found, told = figures(connection, row)
    return replace(found, ended_ns=max(ended_ns, row.started_ns)), told


def figures(connection: apsw.Connection, row: SessionRow) -> tuple[SessionRow, list[Turn]]:
    """Return a session's row with its figures so far, and its turns so far."""
    found = members(connection, row.project, row.id)
    timed = [member.timed for member in found if member.timed.status is not Status.OPEN]
    told = turns(timed)
    sums = summary(told, timed)
    counted = [member for member in found if member.is_counted]
    costs = [member.cost_nanousd for member in found if member.timed.status is not Status.OPEN]
    known = [cost for cost in costs if cost is not None]
    done = replace(
        row,
        budget_ms_used=sums.budget_ms_used,
        cost_nanousd=sum(known) if known or not costs else None,
        unpriced=len(costs) - len(known),
        exchanges=len(counted),
        turns=sums.turns,
        interruptions=sums.interruptions,
        user_talk_s=sums.user_talk_s,
        agent_talk_s=sums.agent_talk_s,
        failures=sum(member.timed.status in FAILED for member in found),
    )
    return done, told

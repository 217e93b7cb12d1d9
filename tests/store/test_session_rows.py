"""Rows of sessions: closed ones are never touched, and the newest membership of an exchange counts."""

from __future__ import annotations

from typing import Any

import apsw
import pytest
from msgspec.structs import replace

from voicegw_sidecar.meter import Turn
from voicegw_sidecar.store.migrate import migrate
from voicegw_sidecar.store.queries.exchanges import Filter, exchanges
from voicegw_sidecar.store.queries.sessions import IN_SESSION, members, open_sessions, sessions, turns_of
from voicegw_sidecar.store.records import WRITE_EXCHANGE, ExchangeRow, bindings
from voicegw_sidecar.store.session_records import (
    SessionRow,
    Statement,
    close_session,
    forget_session,
    join_session,
    move_session,
    open_session,
)
from voicegw_sidecar.terms import Basis, Modality, Moments, SessionOrigin, Status

ROW = SessionRow("uid-1", "acme", "call-1", SessionOrigin.NAMED, 1000, 1500, None, None, "{}")
TURN = Turn(0, 1, 2, 3, 4, 10, True, 2, 1, True, 100, 200, 300, 400, 500, 600)


@pytest.fixture
def connection() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    migrate(connection)
    return connection


def run(connection: apsw.Connection, *statements: Statement) -> None:
    for statement, values in statements:
        connection.execute(statement, values)


def exchange(connection: apsw.Connection, id_: str, session_id: str | None, project: str = "acme") -> None:
    row = ExchangeRow(
        id=id_, project=project, provider="openai", started_ns=int(id_), status=Status.OK, ended_ns=int(id_) + 5,
        session_id=session_id, modality=Modality.LLM, cost_nanousd=7, moments=Moments(1, 2, 3, 4, 5),
    )  # fmt: skip
    connection.execute(WRITE_EXCHANGE, bindings(row, "node"))


def ids(connection: apsw.Connection, session_id: str, project: str = "acme") -> list[str]:
    found = [member.timed.id for member in members(connection, project, session_id)]
    listed = exchanges(connection, Filter(project=project, session_id=session_id)).rows
    assert sorted(row.id for row in listed) == sorted(found)
    assert all(row.session_id == session_id for row in listed)
    return found


def test_a_session_is_written_once_and_closed_once(connection: apsw.Connection) -> None:
    run(connection, open_session(ROW, "node"), open_session(replace(ROW, uid="uid-2"), "node"))
    assert [row for row, _ in open_sessions(connection, "node")] == [ROW]
    assert open_sessions(connection, "other") == []
    closed = replace(
        ROW, ended_ns=2000, budget_ms_used=10.0, cost_nanousd=7, unpriced=0, exchanges=1, turns=1, interruptions=1,
        user_talk_s=1.5, agent_talk_s=2.5,
    )  # fmt: skip
    run(connection, *close_session(closed, [TURN]))
    run(connection, *close_session(replace(closed, ended_ns=3000, exchanges=9), [TURN, replace(TURN, index=1)]))
    run(connection, forget_session("acme", "call-1"), open_session(replace(ROW, uid="uid-3"), "node"))
    assert sessions(connection, "acme", None, 10).rows == [closed]
    assert turns_of(connection, "uid-1") == [TURN]
    assert open_sessions(connection, "node") == []


def test_the_newest_membership_counts(connection: apsw.Connection) -> None:
    for id_, session_id in (("1", "a"), ("2", None), ("3", "b"), ("4", "a")):
        exchange(connection, id_, session_id)
    exchange(connection, "5", "a", project="globex")
    run(connection, join_session("m1", "node", "2", "acme", "a", Basis.SPEECH, 10))
    run(connection, join_session("m2", "node", "1", "acme", "b", Basis.HISTORY, 11))
    assert (ids(connection, "a"), ids(connection, "b")) == (["2", "4"], ["1", "3"])
    run(connection, join_session("m3", "node", "1", "acme", "a", Basis.HISTORY, 12))
    assert (ids(connection, "a"), ids(connection, "b")) == (["1", "2", "4"], ["3"])
    run(connection, move_session("m4", "node", "acme", "a", "b", Basis.TRANSCRIPT, 13))
    assert (ids(connection, "a"), ids(connection, "b")) == ([], ["1", "2", "3", "4"])
    assert ids(connection, "a", "globex") == ["5"], "another project's session of the same name stays"
    member = members(connection, "globex", "a")[0]
    assert (member.timed.asked_ns, member.timed.first_ns, member.timed.content_ns) == (1, 2, 3)
    assert (member.timed.speech_began_ns, member.timed.speech_ended_ns) == (4, 5)
    count = connection.execute("SELECT count(*) FROM exchange WHERE session_id = 'a'").fetchone()
    assert count == (3,), "rows of exchanges are not rewritten"


@pytest.mark.parametrize("statement", [
    move_session("m", "node", "acme", "a", "b", Basis.HISTORY, 1),
    (f"SELECT id FROM exchange WHERE project = :project AND {IN_SESSION}", {"project": "p", "session": "s"}),
])  # fmt: skip
def test_sessions_are_found_by_an_index(connection: apsw.Connection, statement: tuple[str, Any]) -> None:
    text, values = statement
    plan = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", values)]
    assert not any(
        step.startswith(("SCAN e", "SCAN exchange")) or "exchange_by_project (project=?)" in step for step in plan
    ), plan

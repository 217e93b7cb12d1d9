"""Sessions of more than one page, and sessions of projects that are not there any more."""

from __future__ import annotations

import pytest

from tests.api.test_sessions import post
from tests.conftest import StartSidecar
from tests.mcp.support import editor
from tests.sidecar import Sidecar
from tests.web.filled import fill
from voicegw_sidecar.ids import IdSource
from voicegw_sidecar.mcp.sessions import READ_MOST, SHOWN_MOST
from voicegw_sidecar.meter.timed import Turn
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.store.session_records import SessionRow, close_session, open_session
from voicegw_sidecar.terms import NS_PER_S, CostSource, Modality, SessionOrigin, Status

pytestmark = pytest.mark.timeout(120)

ACME = "projects: {acme: {}, globex: {}}\n"


async def long_session(sidecar: Sidecar, failed: set[int], count: int, turns: int = 0) -> None:
    """Write a closed session, ``call-1`` of acme, of so many exchanges, numbered from the oldest."""
    runtime, ids = sidecar.running.runtime, IdSource()
    started_ns = runtime.clock.wall_ns() - 7200 * NS_PER_S
    for number in range(count):
        at_ns = started_ns + number * NS_PER_S
        row = ExchangeRow(
            id=ids.next(at_ns), project="acme", provider="openai", started_ns=at_ns, ended_ns=at_ns,
            status=Status.PARTIAL if number in failed else Status.OK, session_id="call-1", modality=Modality.LLM,
            cost_source=CostSource.NONE, error=f"fault_{number}" if number in failed else None,
        )  # fmt: skip
        runtime.store.append(row)
    told = [Turn(index, total_ms=2000 + index, speech_ended_ns=started_ns) for index in range(turns)]
    row_of_session = SessionRow(
        uid=ids.next(started_ns), project="acme", id="call-1", origin=SessionOrigin.NAMED, started_ns=started_ns,
        budget_ms=1500, predicted_ms=None, budget_overrun=None, route="{}",
        ended_ns=started_ns + count * NS_PER_S, exchanges=count, turns=turns,
        failures=len(failed),
    )  # fmt: skip
    await runtime.store.committed(
        open_session(row_of_session, runtime.store.node_id), *close_session(row_of_session, told)
    )


async def test_a_failure_beyond_the_first_page_is_found(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ACME) as sidecar:
        await long_session(sidecar, {0}, 1100)
        async with editor(sidecar.url) as at:
            text, found = await at.ask("why_was_this_session_slow", session_id="call-1")
    assert (found["exchanges"], found["failed_exchanges"]) == (1100, 1)
    assert 'Of 1100 exchanges 1 failed: llm of openai partial, error {"untrusted_text":"fault_0"}' in text
    assert "Only the newest" not in text


async def test_beyond_the_bound_it_says_so(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ACME) as sidecar:
        await long_session(sidecar, {0, 50}, READ_MOST + 10)
        async with editor(sidecar.url) as at:
            text, found = await at.ask("why_was_this_session_slow", session_id="call-1")
    assert (found["exchanges"], found["failed_exchanges"]) == (READ_MOST, 1)
    assert f"Only the newest {READ_MOST} exchanges of the session were looked at." in text
    assert "fault_50" in text


async def test_what_one_answer_holds_is_bounded(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ACME) as sidecar:
        await long_session(sidecar, set(), SHOWN_MOST + 30, SHOWN_MOST + 5)
        async with editor(sidecar.url) as at:
            text, found = await at.ask("session_waterfall", session_id="call-1")
            assert (len(found["exchanges"]), found["session"]["exchanges"]) == (SHOWN_MOST, SHOWN_MOST + 30)
            assert [turn["index"] for turn in found["session"]["turns"]] == [*range(5, SHOWN_MOST + 5)]
            assert len(found["waterfall"]) == SHOWN_MOST + 1
            assert "Only the newest 200 exchanges are here; the session counts 230," in text
            assert "Only the last 200 of 205 turns are here." in text
            assert f"before {found['next']}" in text
            _, rest = await at.ask("logs", session_id="call-1", before=found["next"], limit=1000)
            assert (len(rest["logs"]), rest["next"]) == (30, None)


async def gone_with_a_session(sidecar: Sidecar, session_id: str) -> None:
    """A project that had a session, and was deleted."""
    assert (await post(sidecar, "/v1/projects", {"project_id": "gone"}))[0] == 201
    runtime = sidecar.running.runtime
    [made] = (await fill(runtime, ("gone",), sessions=1))["gone"]
    assert made == session_id
    async with sidecar.http.delete(f"{sidecar.url}/v1/projects/gone") as response:
        assert response.status == 200


@pytest.mark.parametrize("words", [{}, {"project": "gone"}])
async def test_a_session_of_a_deleted_project_can_be_looked_at(
    start_sidecar: StartSidecar, words: dict[str, str]
) -> None:
    async with start_sidecar(ACME) as sidecar:
        await gone_with_a_session(sidecar, "call-gone-0")
        async with editor(sidecar.url) as at:
            text, found = await at.ask("session_waterfall", session_id="call-gone-0", **words)
            assert (len(found["exchanges"]), found["session"]["project"]) == (12, "gone")
            assert {one["project"] for one in found["exchanges"]} == {"gone"}
            text, found = await at.ask("why_was_this_session_slow", session_id="call-gone-0", **words)
            assert (found["verdict"], found["exchanges"]) == ("slow", 12)
            assert "The project is not there any more, so what it observes is unknown." in text
            told = await at.fails("session_waterfall", session_id="call-gone-0", project="nope")
            assert "nope" in told
            told = await at.fails("session_waterfall", session_id="call-gone-0", project="globex")
            assert "no session" in told

"""Every client case through the sidecar: as it is directly, with a truthful row for each attempt.

A spent budget is refused in one attempt unless the client is known to ask again. What was seen is the table in
docs/providers.md; ``VOICEGW_WRITE_DOCS=1`` writes it anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.case import STATUSES, faults_of
from tests.clients.cases import MODULES
from tests.clients.matrix import table, with_table
from tests.clients.runs import SPENT, WELL, Played, play
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.terms import CostSource, Status

pytestmark = pytest.mark.timeout(600)  # the first to ask waits for all of a client's retries
AT_ONCE = 2  # clients wait for retries most of the time
PROVIDERS_PAGE = Path(__file__).parents[2] / "docs" / "providers.md"
CASES = {case.name: (module, case) for module in MODULES for case in module.CASES}
KEEP_THE_STATUS_ALONE = {
    "assemblyai-sdk-stream", "livekit-deepgram-stt-stream", "livekit-deepgram-stt-recording",
    "livekit-deepgram-sttv2-stream", "livekit-cartesia-stt-turns", "livekit-cartesia-stt-ink-whisper",
    "livekit-groq-tts-sentence", "livekit-deepgram-tts-stream", "livekit-deepgram-tts-sentence",
    "livekit-deepgram-ttsv2-stream", "livekit-cartesia-tts-stream", "livekit-cartesia-tts-sentence",
}  # fmt: skip
"""What of a refusal is no more than its 402, or nothing: nobody can tell it from a provider's own. LiveKit's objects
that `inference` made tell more: tests/inference/test_translate.py."""
FAILED = {Status.UPSTREAM_ERROR, Status.PARTIAL, Status.CANCELLED}


Seen = Callable[[str, str], Played]


@pytest.fixture(scope="module")
def seen(request: pytest.FixtureRequest) -> Seen:
    """What came of a case under a fault; all clients that are asked for are played, a few at once."""
    wanted = [getattr(item, "callspec", None) for item in request.session.items if item.path == request.path]
    names = {spec.params["name"] for spec in wanted if spec is not None and "name" in spec.params}
    modules = {CASES[name][0].__name__ for name in (names if None not in wanted else CASES)}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = {(one.case, one.fault): one for played in pool.map(play, sorted(modules)) for one in played}
    return lambda name, fault: found[name, fault]


@pytest.mark.parametrize("name", CASES)
def test_a_call_gives_what_it_gives_directly_and_one_priced_row(name: str, seen: Seen) -> None:
    case, found = CASES[name][1], seen(name, WELL)
    assert found.direct is not None
    assert (found.relayed.error, found.relayed.message) == ("", "")
    assert found.relayed.value == found.direct.value
    assert found.relayed.value
    assert found.relayed.attempts == found.direct.attempts
    rows = [row for row in found.rows if row.modality is not None]
    assert rows
    is_over = {Status.OK, Status.IDLE, Status.CANCELLED} if case.leaves_early else {Status.OK, Status.IDLE}
    assert {row.status for row in rows} <= is_over
    first = rows[0]
    assert first.provider == case.provider
    assert (first.first_ms is None) == case.is_written
    assert (first.cost_nanousd is None) == bool(case.is_unpriced)


@pytest.mark.parametrize(
    ("name", "fault"), [(name, fault.name) for name, (_, case) in CASES.items() for fault in faults_of(case)]
)
def test_a_fault_raises_what_it_raises_directly_in_as_many_attempts(name: str, fault: str, seen: Seen) -> None:
    found = seen(name, fault)
    assert found.direct is not None
    assert found.relayed.kind == found.direct.kind
    assert found.relayed.attempts == found.direct.attempts
    assert found.relayed.translated == "", "a provider's own refusal is no budget of ours"
    if not found.relayed.error:
        assert found.relayed.value == found.direct.value
    case, rows = CASES[name][1], [row for row in found.rows if row.modality is not None]
    if case.is_socket and fault == "hang":
        return  # the agent left before there was a socket: nothing began
    failed = [row for row in rows if row.status in FAILED]
    assert failed
    if not case.is_socket:
        assert len(rows) == found.relayed.attempts
    if fault in map(str, STATUSES):
        assert {(row.status, row.http_status, row.cost_nanousd, row.cost_source) for row in failed} == {
            (Status.UPSTREAM_ERROR, int(fault), 0, CostSource.NONE)}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_spent_budget_is_refused_in_one_attempt_and_local_models_are_served(name: str, seen: Seen) -> None:
    case, found = CASES[name][1], seen(name, SPENT)
    if BY_ID[case.provider].is_local:
        assert (found.relayed.error, {row.status for row in found.rows}) == ("", {Status.OK})
        return
    assert found.relayed.error
    assert {row.status for row in found.rows} == {Status.REFUSED}
    assert len(found.rows) == case.refused_attempts
    assert found.relayed.translated == ("" if name in KEEP_THE_STATUS_ALONE else "BudgetExceededError")


def test_case_names_are_unique() -> None:
    assert len(CASES) == sum(len(module.CASES) for module in MODULES)


def test_the_table_in_the_documentation_is_what_was_seen(seen: Seen) -> None:
    lines = {name: (seen(name, WELL), seen(name, SPENT)) for name in CASES}
    page = PROVIDERS_PAGE.read_text()
    expected = with_table(page, table([case for _, case in CASES.values()], lines))
    if os.environ.get("VOICEGW_WRITE_DOCS"):
        PROVIDERS_PAGE.write_text(expected)
    page = PROVIDERS_PAGE.read_text()
    assert [line for line in expected.splitlines() if line not in page.splitlines()] == []
    assert PROVIDERS_PAGE.read_text() == expected

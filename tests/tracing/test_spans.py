"""Rows become spans: each exchange under the turn it is part of, ids that never change, nothing that is not known."""

from __future__ import annotations

import pytest

from voicegw_sidecar.ids import IdSource
from voicegw_sidecar.meter.timed import Turn
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.store.session_records import SessionRow
from voicegw_sidecar.terms import Modality, Moments, SessionOrigin, Status, Usage
from voicegw_sidecar.tracing.spans import Span, lone_span, session_spans

START_NS = 1_795_262_400 * 10**9
MS = 10**6
IDS = IdSource()
SESSION = SessionRow(
    IDS.next(START_NS), "acme", "call-1", SessionOrigin.API, START_NS, 1200, 480.0, False,
    '{"stt":{"provider":"deepgram","model":"nova-3"},"llm":{"provider":"groq","model":null}}',
    ended_ns=START_NS + 20_000 * MS, budget_ms_used=740.0, cost_nanousd=1_500_000, exchanges=4, turns=2,
)  # fmt: skip


def exchange(modality: Modality | None, began_ms: int, ended_ms: int, **fields: object) -> ExchangeRow:
    known: dict[str, object] = {"status": Status.OK, "provider": "openai", "model": "m"}
    started_ns = START_NS + began_ms * MS
    return ExchangeRow(
        id=IDS.next(started_ns), project="acme", modality=modality, started_ns=started_ns,
        ended_ns=START_NS + ended_ms * MS, **{**known, **fields},
    )  # type: ignore[arg-type]  # fmt: skip


def turn(index: int, heard_ms: int) -> Turn:
    at_ns = START_NS + heard_ms * MS
    return Turn(
        index, 200, 300, 150, 90, 740, speech_ended_ns=at_ns, final_ns=at_ns + 200 * MS, asked_ns=at_ns + 210 * MS,
        token_ns=at_ns + 500 * MS, text_ns=at_ns + 520 * MS, audio_ns=at_ns + 740 * MS,
    )  # fmt: skip


def named(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name.startswith(name)]


def test_each_exchange_is_under_its_turn() -> None:
    heard = [
        exchange(Modality.STT, at - 900, at + 200, moments=Moments(speech_ended_ns=START_NS + at * MS))
        for at in (2000, 9000)
    ]
    asked = [
        exchange(Modality.LLM, at + 210, at + 800, moments=Moments(asked_ns=START_NS + (at + 210) * MS))
        for at in (2000, 9000)
    ]
    spoken = [
        exchange(Modality.TTS, at + 520, at + 2500, moments=Moments(asked_ns=START_NS + (at + 520) * MS))
        for at in (2000, 9000)
    ]
    early = exchange(Modality.TTS, 100, 900, moments=Moments(asked_ns=START_NS + 100 * MS))
    late = exchange(Modality.STT, 15_000, 16_000, status=Status.IDLE)
    turns = [turn(1, 9000), turn(0, 2000)]
    spans = session_spans(SESSION, turns, [early, *heard, *asked, *spoken, late])
    root = spans[0]
    first, second = named(spans, "turn")
    assert (first.parent_id, second.parent_id) == (root.span_id, root.span_id)
    assert (first.start_ns, first.end_ns) == (START_NS + 2000 * MS, START_NS + 2740 * MS)
    for kind in ("speech_to_text", "chat", "text_to_speech"):
        parents = [span.parent_id for span in named(spans, kind)]
        assert [parent for parent in parents if parent != root.span_id] == [first.span_id, second.span_id]
    by_id = {span.attributes.get("voicegw.exchange.id"): span for span in spans}
    assert by_id[early.id].parent_id == root.span_id, "a greeting answers nobody"
    assert by_id[late.id].parent_id == root.span_id
    assert len({span.span_id for span in spans}) == len(spans)
    assert {span.trace_id for span in spans} == {root.trace_id}


def test_a_trace_made_twice_is_the_same_trace() -> None:
    rows = [exchange(Modality.LLM, 100, 200)]
    assert session_spans(SESSION, [turn(0, 50)], rows) == session_spans(SESSION, [turn(0, 50)], rows)


def test_what_is_not_known_is_left_out() -> None:
    [root, *_] = session_spans(SESSION, [], [])
    assert root.attributes["voicegw.route.stt"] == "deepgram/nova-3"
    assert root.attributes["voicegw.route.llm"] == "groq"
    assert "voicegw.unpriced" not in root.attributes
    span = lone_span(exchange(None, 0, 1, model=None, cost_nanousd=None))
    assert span.name == "relay"
    assert not {"gen_ai.request.model", "voicegw.cost_usd", "voicegw.first_ms", "gen_ai.conversation.id"} & set(
        span.attributes
    )


def test_a_turn_of_which_nothing_was_seen_is_no_span() -> None:
    assert named(session_spans(SESSION, [Turn(0)], []), "turn") == []


@pytest.mark.parametrize("status", list(Status))
def test_failures_are_errors_and_leaving_is_none(status: Status) -> None:
    span = lone_span(exchange(Modality.LLM, 0, 5, status=status, error=None))
    failed = {Status.REFUSED, Status.UPSTREAM_ERROR, Status.PARTIAL, Status.INTERRUPTED, Status.DEGRADED}
    assert (span.error is not None) == (status in failed)
    assert ("error.type" in span.attributes) == (status in failed)


def test_usage_and_first_output_have_the_conventions_names() -> None:
    row = exchange(
        Modality.LLM, 0, 900, first_ms=321.0, http_status=200,
        usage=Usage(input_tokens=10, cached_input_tokens=4, output_tokens=7, reasoning_tokens=2),
    )  # fmt: skip
    told = lone_span(row).attributes
    assert told["gen_ai.usage.input_tokens"] == 10
    assert told["gen_ai.usage.cache_read.input_tokens"] == 4
    assert told["gen_ai.usage.reasoning.output_tokens"] == 2
    assert told["gen_ai.response.time_to_first_chunk"] == 0.321
    assert told["http.response.status_code"] == 200

"""Rows of a session put into spans, pure: names and attributes by OpenTelemetry's conventions for generative AI.

Conventions: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans (in development; read 2026-11-29), in the
names of opentelemetry-semantic-conventions 0.66b2. They know no word for hearing and speaking: ``speech_to_text``,
``text_to_speech`` and ``speech_to_speech`` are ours, and so is everything below ``voicegw.``. No text, audio or key.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence

from msgspec import Struct, field

from voicegw_sidecar.meter.timed import Turn
from voicegw_sidecar.route import read_route
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.store.session_records import SessionRow
from voicegw_sidecar.terms import FAILED, NANO_PER_USD, NS_PER_MS, Modality, Usage

Attribute = str | int | float | bool

_OPERATIONS = {
    Modality.LLM: "chat",
    Modality.STT: "speech_to_text",
    Modality.TTS: "text_to_speech",
    Modality.S2S: "speech_to_speech",
}
_OUTPUTS = {Modality.LLM: "text", Modality.STT: "text", Modality.TTS: "speech", Modality.S2S: "speech"}
_USAGE = (
    ("gen_ai.usage.input_tokens", "input_tokens"),
    ("gen_ai.usage.output_tokens", "output_tokens"),
    ("gen_ai.usage.cache_read.input_tokens", "cached_input_tokens"),
    ("gen_ai.usage.cache_creation.input_tokens", "cache_write_tokens"),
    ("gen_ai.usage.reasoning.output_tokens", "reasoning_tokens"),
    ("voicegw.usage.input_audio_tokens", "input_audio_tokens"),
    ("voicegw.usage.output_audio_tokens", "output_audio_tokens"),
    ("voicegw.usage.audio_s", "audio_s"),
    ("voicegw.usage.audio_out_s", "audio_out_s"),
    ("voicegw.usage.characters", "characters"),
)
_MS_PER_S = 1000.0


class Span(Struct, frozen=True):
    """One span; times are wall-clock nanoseconds. ``error`` says how it failed, None where it did not."""

    trace_id: int
    span_id: int
    parent_id: int | None
    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    is_call: bool = False
    """True for work that a provider did."""
    error: str | None = None


def session_spans(row: SessionRow, turns: Sequence[Turn], exchanges: Sequence[ExchangeRow]) -> list[Span]:
    """Return a closed session's trace, its root first. Ids are made from the rows', so a trace sent twice is one."""
    trace_id = _trace_id(row.uid)
    start_ns = min([row.started_ns, *(exchange.started_ns for exchange in exchanges)])
    end_ns = max([start_ns, row.ended_ns or 0, *(exchange.ended_ns or 0 for exchange in exchanges)])
    root = Span(trace_id, _span_id(row.uid), None, "voice session", start_ns, end_ns, _session_attributes(row))
    ordered = sorted(turns, key=lambda turn: turn.index)
    spans = [root, *(_turn_span(row, turn, root) for turn in ordered if _moments(turn))]
    for exchange in exchanges:
        turn = _turn_of(exchange, ordered)
        parent_id = root.span_id if turn is None else _turn_id(row, turn)
        spans.append(_exchange_span(exchange, trace_id, parent_id, row.id))
    return spans


def lone_span(exchange: ExchangeRow) -> Span:
    """Return the trace of an exchange that belongs to no session."""
    return _exchange_span(exchange, _trace_id(exchange.id), None, None)


def late_span(exchange: ExchangeRow, session_uid: str) -> Span:
    """Return the span of an exchange that ended after its session was traced, for that session's trace."""
    return _exchange_span(exchange, _trace_id(session_uid), _span_id(session_uid), exchange.session_id)


def _session_attributes(row: SessionRow) -> dict[str, Attribute]:
    found: dict[str, Attribute | None] = {
        "gen_ai.conversation.id": row.id,
        "session.id": row.id,
        "voicegw.project": row.project,
        "voicegw.session.origin": row.origin.value,
        "voicegw.budget_ms": row.budget_ms,
        "voicegw.budget_ms_used": row.budget_ms_used,
        "voicegw.predicted_ms": row.predicted_ms,
        "voicegw.budget_overrun": row.budget_overrun,
        "voicegw.cost_usd": _usd(row.cost_nanousd),
        "voicegw.unpriced": row.unpriced,
        "voicegw.exchanges": row.exchanges,
        "voicegw.failures": row.failures,
        "voicegw.turns": row.turns,
        "voicegw.interruptions": row.interruptions,
    }
    for modality, leg in read_route(row.route).items():
        found[f"voicegw.route.{modality}"] = leg.provider if leg.model is None else f"{leg.provider}/{leg.model}"
    return _known(found)


def _turn_span(row: SessionRow, turn: Turn, root: Span) -> Span:
    """From the end of the person's speech to the first audio of the answer, as far as both were seen."""
    seen = _moments(turn)
    start_ns = turn.speech_ended_ns or min(seen)
    end_ns = max(start_ns, turn.audio_ns or max(seen))
    attributes = _known({
        "voicegw.turn.index": turn.index,
        "voicegw.turn.stt_ms": turn.stt_ms,
        "voicegw.turn.llm_ms": turn.llm_ms,
        "voicegw.turn.tts_ms": turn.tts_ms,
        "voicegw.turn.agent_ms": turn.agent_ms,
        "voicegw.turn.total_ms": turn.total_ms,
        "voicegw.turn.interrupted": turn.interrupted,
        "gen_ai.conversation.id": row.id,
    })  # fmt: skip
    return Span(root.trace_id, _turn_id(row, turn), root.span_id, "turn", start_ns, end_ns, attributes)


def _exchange_span(row: ExchangeRow, trace_id: int, parent_id: int | None, session_id: str | None) -> Span:
    operation = "relay" if row.modality is None else _OPERATIONS[row.modality]
    error = (row.error or row.status.value) if row.status in FAILED else None
    attributes: dict[str, Attribute | None] = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": row.provider,
        "gen_ai.request.model": row.model,
        "gen_ai.output.type": None if row.modality is None else _OUTPUTS[row.modality],
        "gen_ai.conversation.id": session_id,
        "gen_ai.response.time_to_first_chunk": None if row.first_ms is None else row.first_ms / _MS_PER_S,
        "http.response.status_code": row.http_status,
        "error.type": error,
        "voicegw.project": row.project,
        "voicegw.exchange.id": row.id,
        "voicegw.status": row.status.value,
        "voicegw.first_ms": row.first_ms,
        "voicegw.cost_usd": _usd(row.cost_nanousd),
        "voicegw.cost_source": row.cost_source.value,
        "voicegw.estimated": row.estimated,
        **_used(row.usage),
    }
    return Span(
        trace_id, _span_id(row.id), parent_id, f"{operation} {row.model}" if row.model else operation, row.started_ns,
        max(row.started_ns, row.ended_ns or 0), _known(attributes), is_call=True, error=error,
    )  # fmt: skip


def _used(usage: Usage) -> dict[str, Attribute | None]:
    return {name: getattr(usage, of_usage) for name, of_usage in _USAGE}


def _turn_of(exchange: ExchangeRow, turns: Sequence[Turn]) -> Turn | None:
    """Return the turn that an exchange is part of: what was heard before its answer, or what answered it."""
    moments = exchange.moments
    if exchange.modality in (Modality.STT, Modality.S2S):
        heard_ns = moments.speech_ended_ns or moments.first_ns or exchange.ended_ns or exchange.started_ns
        return next((turn for turn in turns if heard_ns <= _last_heard_ns(turn)), None)
    asked_ns = moments.asked_ns or exchange.started_ns
    before = [turn for turn in turns if _moments(turn) and min(_moments(turn)) <= asked_ns + NS_PER_MS]
    return before[-1] if before else None


def _last_heard_ns(turn: Turn) -> int:
    """Return when the last word of a turn was heard."""
    seen = _moments(turn)
    return turn.final_ns or turn.speech_ended_ns or (min(seen) if seen else 0)


def _moments(turn: Turn) -> list[int]:
    named = (turn.speech_ended_ns, turn.final_ns, turn.asked_ns, turn.token_ns, turn.text_ns, turn.audio_ns)
    return [at_ns for at_ns in named if at_ns is not None]


def _trace_id(row_id: str) -> int:
    return uuid.UUID(row_id).int


def _span_id(row_id: str) -> int:
    return uuid.UUID(row_id).int & 0xFFFF_FFFF_FFFF_FFFF


def _turn_id(row: SessionRow, turn: Turn) -> int:
    return int.from_bytes(hashlib.blake2b(f"{row.uid} {turn.index}".encode(), digest_size=8).digest(), "big") or 1


def _usd(nanousd: int | None) -> float | None:
    return None if nanousd is None else nanousd / NANO_PER_USD


def _known(attributes: Mapping[str, Attribute | None]) -> dict[str, Attribute]:
    """Leave out what is not known: an attribute that is missing is never 0."""
    return {name: value for name, value in attributes.items() if value is not None}

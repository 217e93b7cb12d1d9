"""Whatever a wire brings, no dialect raises and the meter closes what it opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegw_sidecar.dialects.base import Dialect
from voicegw_sidecar.dialects.opaque import OpaqueRequest, OpaqueSocket
from voicegw_sidecar.events import Event
from voicegw_sidecar.meter import Closed, Meter, Opened
from voicegw_sidecar.providers import ALL
from voicegw_sidecar.terms import Status
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side

FACTORIES: list[Callable[[RequestHead], Dialect]] = [OpaqueRequest, OpaqueSocket]
FACTORIES += list(dict.fromkeys(endpoint.dialect for provider in ALL for endpoint in provider.endpoints))

WORDS = [
    "type", "Results", "UtteranceEnd", "Metadata", "Flushed", "Cleared", "Speak", "Flush", "Clear", "Close", "Error",
    "text", "chunk", "done", "error", "data", "context_id", "transcript", "cancel", "turn.end", "turn.update",
    "channel", "alternatives", "words", "end", "is_final", "speech_final", "duration", "last_word_end", "choices",
    "delta", "content", "tool_calls", "usage", "prompt_tokens", "completion_tokens", "model", "object", "code",
    "stream", "messages", "input", "response_format", "transcript.text.done", "speech.audio.delta", "audio", "seconds",
    "content_block_delta", "content_block_start", "message_start", "message_delta", "text_delta", "partial_json",
    "inputs", "contextId", "isFinal", "is_final", "flush", "close_context", "close_socket", "audio_base64",
    "message_type", "input_audio_chunk", "audio_base_64", "committed_transcript", "partial_transcript",
    "committed_transcript_with_timestamps", "Begin", "Turn", "end_of_turn", "turn_order", "Termination",
    "response.create", "response.created", "response.done", "response.completed", "response.output_text.delta",
    "response.output_audio.delta", "input_audio_buffer.append", "input_audio_buffer.committed", "session.update",
    "input_audio_buffer.speech_stopped", "audio_end_ms", "item_id", "response", "id", "status", "output", "item",
    "conversation.item.input_audio_transcription.completed", "TurnInfo", "EndOfTurn", "event", "SpeechMetadata",
    "transcript", "flush_done", "prompt_eval_count", "eval_count", "message", "response", "stream_id",
    "*", "a",
]  # fmt: skip
scalars = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(WORDS) | st.text(max_size=8)
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=12,
)
messages = st.dictionaries(st.sampled_from(WORDS), values, max_size=8).map(msgspec.json.encode)
payloads = st.one_of(messages, messages.map(lambda text: b"data: " + text + b"\n\n"), st.binary(max_size=64))
frames = st.lists(
    st.tuples(st.sampled_from(Side), st.sampled_from(Kind), payloads | st.just(b"data: [DONE]\n\n")), max_size=12
)
heads = st.builds(
    RequestHead,
    st.just("POST"),
    st.just("/"),
    st.lists(
        st.tuples(
            st.sampled_from(["model", "encoding", "sample_rate", "channels"]),
            st.sampled_from(["nova-3", "linear16", "mulaw", "16000", "0", "-1", "9" * 40, ""]),
        ),
        max_size=4,
    ).map(tuple),
    st.sampled_from(
        ["", "application/json", "multipart/form-data; boundary=x", "multipart/form-data; boundary=\udc80"]
    ),
)
answers = st.builds(
    ResponseHead,
    st.just(200),
    st.sampled_from(["text/event-stream", "application/json", "audio/wav", "audio/pcm", "text/plain", ""]),
    st.sampled_from(["", "gzip", "deflate", "br"]),
)


@pytest.mark.parametrize("factory", FACTORIES, ids=lambda factory: getattr(factory, "__name__", "dialect"))
@settings(max_examples=150, deadline=None)
@given(head=heads, answer=answers, sent=frames, complete=st.booleans(), side=st.sampled_from(Side))
def test_no_dialect_raises(
    factory: Any,
    head: RequestHead,
    answer: ResponseHead,
    sent: list[tuple[Side, Kind, bytes]],
    complete: bool,
    side: Side,
) -> None:
    dialect, meter = factory(head), Meter()
    opened: set[int] = set()
    closed: set[int] = set()

    def take(events: Any, at_ns: int) -> None:
        event: Event
        for event in events:
            meter.apply(event, at_ns)
        meter.running()
        for change in meter.changes():
            match change:
                case Opened(exchange):
                    opened.add(exchange.ref)
                case Closed(exchange):
                    assert exchange.ref not in closed
                    closed.add(exchange.ref)

    middle = len(sent) // 2
    for number, (who, kind, data) in enumerate(sent):
        if number == middle:
            take(dialect.ended(Side.AGENT, End.COMPLETE) if complete else (), number)
            take(dialect.answered(answer), number)
        take(dialect.decode(Frame(who, kind, number, data)), number)
    take(dialect.ended(side, End.COMPLETE if complete else End.BROKEN), 100)
    meter.close(Status.CANCELLED, 101)
    take((), 101)
    assert meter.running() == []
    assert opened <= closed

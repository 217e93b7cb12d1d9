"""LiveKit Inference's ``/stt``: its messages read, and transcripts written."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.facades.anything import json_like
from tests.replay import Capture, captures, replay
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.events import (
    Began,
    Event,
    Failed,
    Final,
    Finished,
    Interim,
    SpeechEnded,
    StreamDuration,
    UtteranceEnded,
    Word,
)
from voicegw_sidecar.facades.livekit import Fallback, FallbackModel
from voicegw_sidecar.facades.livekit_stt import (
    Asked,
    Audio,
    Close,
    Create,
    Finalize,
    Transcripts,
    Unknown,
    Update,
    closed,
    created,
    finalized,
    read,
)
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.frames import Kind

CREATE = {
    "type": "session.create", "model": "deepgram/nova-3",
    "settings": {"sample_rate": "16000", "encoding": "pcm_s16le", "language": "en", "extra": {"keyterm": []}},
    "fallback": {"models": [{"model": "assemblyai/universal-streaming", "extra": None}]},
    "connection": {"timeout": 10.0, "retries": 3},
}  # fmt: skip
"""As livekit-agents 1.8.9 sends it."""
SAMPLES = bytes(range(256)) * 6


def asked(**members: Any) -> Asked:
    return read(Kind.TEXT, msgspec.json.encode(members))


def updated(**settings: Any) -> Asked:
    return asked(type="session.update", settings=settings)


def heard(events: Iterable[Event], language: str | None = None) -> list[dict[str, Any]]:
    """The messages that events make, each told by itself, without what is in all of them."""
    transcripts = Transcripts("s-1", language)
    found = [msgspec.json.decode(message) for event in events for message in transcripts.take([event])]
    assert {message.pop("session_id") for message in found} <= {"s-1"}
    return found


def finals(events: Iterable[Event]) -> list[dict[str, Any]]:
    return [message for message in heard(events) if message.pop("type") == "final_transcript"]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (
            CREATE,
            Create(16_000, "deepgram/nova-3", "en", (), {},
                   Fallback((FallbackModel("assemblyai/universal-streaming"),))),
        ),
        ({"type": "session.create"}, Create(16_000, None, None, (), {}, Fallback())),
        (
            {"type": "session.create", "settings": {"sample_rate": 24_000, "extra": None}, "fallback": None},
            Create(24_000, None, None, (), {}, Fallback()),
        ),
        ({"type": "input_audio", "audio": base64.b64encode(SAMPLES).decode()}, Audio(SAMPLES)),
        ({"type": "input_audio", "audio": ""}, Audio(b"")),
        ({"type": "input_audio"}, Audio(b"")),
        ({"type": "session.finalize"}, Finalize()),
        ({"type": "session.close"}, Close()),
        ({"type": "session.update"}, Update(None, None, None, {})),
        (
            {"type": "session.update", "settings": {"model": "deepgram/nova-2", "language": "fr", "extra": {"a": 1}}},
            Update("deepgram/nova-2", "fr", None, {"a": 1}),
        ),
        ({"type": "session.ping"}, Unknown()),
        ({}, Unknown()),
    ],
)  # fmt: skip
def test_messages_are_read(members: dict[str, Any], expected: Asked) -> None:
    assert asked(**members) == expected


@pytest.mark.parametrize("name", ["keyterm", "keyterms", "keyterms_prompt", "keywords", "additional_vocab"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["Hydrangea", "Ada"], ("Hydrangea", "Ada")),
        ("Hydrangea", ("Hydrangea",)),
        (["Ada", "", 7, None, {"content": "x"}], ("Ada",)),
        ([], ()),
        (None, ()),
    ],
)
def test_terms_are_taken_out_of_each_providers_options(name: str, value: object, expected: tuple[str, ...]) -> None:
    assert updated(extra={name: value, "a": 1}) == Update(None, None, expected, {"a": 1})


def test_terms_of_which_nothing_is_said_stay_as_they_are() -> None:
    assert updated(extra={"a": 1}) == Update(None, None, None, {"a": 1})


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (Kind.BINARY, SAMPLES, "found a binary message; expected JSON text, audio as base64 in it"),
        (Kind.TEXT, b"", "found a message that cannot be read: "),
        (Kind.TEXT, b"finalize", "found a message that cannot be read: "),
        (Kind.TEXT, b"\xff", "found a message that cannot be read: "),
        (Kind.TEXT, b'["session.close"]', "found a message that cannot be read: Expected `object`, got `array`"),
        (Kind.TEXT, b'{"type":"input_audio","audio":7}', "found a message that cannot be read: "),
        (Kind.TEXT, b'{"settings":{"extra":{"a":' + b"[" * 100_000, "found a message that cannot be read: "),
        (Kind.TEXT, b'{"type":"input_audio","audio":"####"}', "audio: found something else than base64"),
        (Kind.TEXT, b'{"type":"input_audio","audio":"AAA"}', "audio: found something else than base64"),
        (Kind.TEXT, b'{"type":"input_audio","audio":"AA==AAAA"}', "audio: found something else than base64"),
        (Kind.TEXT, '{"type":"input_audio","audio":"été"}'.encode(), "audio: found something else than base64"),
        (
            Kind.TEXT,
            b'{"type":"session.create","settings":{"sample_rate":"fast"}}',
            "settings.sample_rate: found 'fast', expected samples a second from 8000 to 48000",
        ),
        (
            Kind.TEXT,
            b'{"type":"session.create","settings":{"encoding":"opus"}}',
            "settings.encoding: found 'opus', expected pcm_s16le",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(kind: Kind, data: bytes, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(kind, data)
    assert caught.value.message.startswith(message)
    assert len(caught.value.message) < 200


names = json_like("type", "settings", "sample_rate", "encoding", "extra", "keyterm", "fallback", "models", "audio")
types = st.sampled_from(["session.create", "session.update", "input_audio"])


@settings(max_examples=300)
@given(kind=st.sampled_from(Kind), data=st.one_of(st.binary(max_size=60), names), type_=types)
def test_nothing_but_a_bad_request_is_raised(kind: Kind, data: bytes, type_: str) -> None:
    with contextlib.suppress(BadRequest):
        read(kind, data)
    with contextlib.suppress(BadRequest):
        read(Kind.TEXT, b'{"type":"' + type_.encode() + b'",' + data[1:])


@given(samples=st.binary(max_size=200))
def test_audio_arrives_as_it_was_sent(samples: bytes) -> None:
    assert asked(type="input_audio", audio=base64.b64encode(samples).decode()) == Audio(samples)


def test_acknowledgements() -> None:
    assert [msgspec.json.decode(message) for message in (created("s-1"), finalized(), closed())] == [
        {"type": "session.created", "session_id": "s-1"}, {"type": "session.finalized"}, {"type": "session.closed"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "kind"),
    [(Interim("Where is"), "interim_transcript"), (Interim("Where is", is_eager=True), "preflight_transcript")],
)
def test_what_may_still_change_is_told_at_once(event: Interim, kind: str) -> None:
    assert heard([event]) == [{"type": kind, "transcript": "Where is"}]


@pytest.mark.parametrize("end", [UtteranceEnded(), Finished()])
def test_pieces_of_one_utterance_go_as_one_final(end: Event) -> None:
    assert finals([Final("Where is"), Final(" my order? "), end]) == [
        {"transcript": "Where is my order?", "words": []},
    ]


def test_until_then_they_are_part_of_what_may_change() -> None:
    events: list[Event] = [
        Final("Where is"), Interim("my"), Interim("my order"), Final("my order?"), UtteranceEnded(), Interim("A"),
    ]  # fmt: skip
    assert [(message["type"], message["transcript"]) for message in heard(events)] == [
        ("interim_transcript", "Where is my"),
        ("interim_transcript", "Where is my order"),
        ("final_transcript", "Where is my order?"),
        ("interim_transcript", "A"),
    ]


def test_each_utterance_has_its_own_final() -> None:
    events: list[Event] = [Final("One."), UtteranceEnded(), Final("Two."), UtteranceEnded()]
    assert [message["transcript"] for message in finals(events)] == ["One.", "Two."]


@pytest.mark.parametrize("event", [UtteranceEnded(), Finished(), Began(Modality.STT), SpeechEnded(1.0),
                                   StreamDuration(1.0), Failed("x", key="*")])  # fmt: skip
def test_an_utterance_without_words_is_none(event: Event) -> None:
    assert heard([event]) == []


def test_what_is_held_at_the_end_is_not_lost() -> None:
    transcripts = Transcripts("s-1", None)
    assert transcripts.take([Final("Where is")]) == []
    [message] = transcripts.rest()
    assert msgspec.json.decode(message)["transcript"] == "Where is"
    assert transcripts.rest() == []


def test_times_are_those_of_the_whole_utterance() -> None:
    events: list[Event] = [Final("a", 1.5, 0.5), Final("b", 2.75, 1.5), UtteranceEnded()]
    [message] = finals(events)
    assert (message["start"], message["duration"]) == (0.5, 2.25)


def test_a_time_of_0_is_told() -> None:
    [message] = finals([Final("a", 0.0, 0.0), UtteranceEnded()])
    assert (message["start"], message["duration"]) == (0.0, 0.0)


@pytest.mark.parametrize("final", [Final("a"), Final("a", speech_end_s=1.5), Final("a", speech_start_s=0.5)])
def test_what_nobody_told_is_left_out_and_never_0(final: Final) -> None:
    assert finals([final, UtteranceEnded()]) == [{"transcript": "a", "words": []}]


def test_words_come_with_what_is_known_of_them() -> None:
    words = (
        Word("Where", 0.1, 0.4, 0.9, "1"), Word("is"), Word("my", 0.5), Word("order", end_s=0.9),
        Word("?", 0.0, 0.0, 0.0),
    )  # fmt: skip
    [message] = finals([Final("Where is", words=words[:2]), Final("my order?", words=words[2:]), UtteranceEnded()])
    assert message["words"] == [
        {"word": "Where", "start": 0.1, "end": 0.4, "confidence": 0.9, "speaker_id": "1"},
        {"word": "is"},
        {"word": "my"},
        {"word": "order"},
        {"word": "?", "start": 0.0, "end": 0.0, "confidence": 0.0},
    ]


@pytest.mark.parametrize(
    ("confidences", "expected"), [([0.9, 0.7], 0.7), ([None, 0.7], 0.7), ([0.0], 0.0), ([None], None), ([], None)]
)
def test_an_utterance_is_as_sure_as_its_least_sure_piece(
    confidences: list[float | None], expected: float | None
) -> None:
    events = [Final("a", confidence=confidence) for confidence in confidences or [None]]
    [message] = finals([*events, UtteranceEnded()])
    assert message.get("confidence") == expected


@pytest.mark.parametrize(
    ("asked_for", "found", "expected"),
    [(None, None, None), ("en", None, "en"), (None, "fr", "fr"), ("en", "fr", "fr"), ("en", "", "en")],
)
def test_the_language_is_the_one_that_was_heard(asked_for: str | None, found: str | None, expected: str | None) -> None:
    [message] = heard([Final("a", language=found), UtteranceEnded()], asked_for)
    assert message.get("language") == expected


def test_what_may_still_change_is_in_the_language_that_was_asked_for() -> None:
    assert heard([Interim("a")], "en") == [{"type": "interim_transcript", "transcript": "a", "language": "en"}]


@pytest.mark.parametrize("event", [Interim("a"), Final("a")])
def test_output_is_any_transcript(event: Event) -> None:
    transcripts = Transcripts("s-1", None)
    transcripts.take([Began(Modality.STT), UtteranceEnded()])
    assert not transcripts.has_output
    transcripts.take([event])
    assert transcripts.has_output


LISTENING = ("assemblyai_stream", "cartesia_stt_", "cartesia_turns", "deepgram_flux_two", "deepgram_listen",
             "elevenlabs_scribe", "openai_realtime_transcription")  # fmt: skip
HEARD = [one for one in captures() if one.is_socket and one.name.startswith(LISTENING)]


@pytest.mark.parametrize("capture", HEARD, ids=str)
def test_every_provider_is_heard_word_for_word(capture: Capture) -> None:
    events = [event for _, event in replay(capture).events]
    transcripts = Transcripts("s-1", None)
    messages = [msgspec.json.decode(message) for message in (*transcripts.take(events), *transcripts.rest())]
    final = [message["transcript"] for message in messages if message["type"] == "final_transcript"]
    said = [event.text.strip() for event in events if isinstance(event, Final)]
    assert " ".join(final) == " ".join(said)

"""Transcription requests: read, put in neutral words, and transcripts worded as they were asked for."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.audio import Transcription

from tests.facades.answered import answered
from voicegw_sidecar.drivers.base import Segment, Transcript
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.events import Word
from voicegw_sidecar.facades.transcription import Transcribe
from voicegw_sidecar.providers import registry
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire import multipart

FILE = multipart.Part("file", True, b"RIFF sound", "a.wav", "audio/wav")
VERBOSE: dict[str, Any] = {"response_format": "verbose_json"}
BOTH = Transcript(
    "Hello there.", "en", 1.5, (Word("Hello", 0.1, 0.4), Word("there.", 0.5, 0.9)), (Segment("Hello there.", 0.0, 1.5),)
)
BARE = Transcript("Hello there.")


def transcribe(*fields: tuple[str, str], file: multipart.Part = FILE, **more: str) -> Transcribe:
    form = multipart.form([*fields, *more.items()], file)
    return Transcribe(form.body, form.content_type)


def leg(provider: str = "deepgram", variant: str | None = None, *, is_declared: bool = False) -> Leg:
    return Leg(Modality.STT, registry((provider,))[provider], "the-model", variant, is_declared=is_declared)


def told(transcript: Transcript, *fields: tuple[str, str], **more: Any) -> dict[str, Any]:
    answer = transcribe(*fields, **more).answer(transcript)
    assert (answer.status, answer.headers) == (200, (("Content-Type", "application/json"),))
    found: dict[str, Any] = msgspec.json.decode(answer.body)
    return found


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "multipart/form-data", "text/plain; boundary=x", "x" * 100]
)
def test_a_body_that_is_no_form_is_refused(content_type: str) -> None:
    with pytest.raises(BadRequest) as caught:
        Transcribe(b"{}", content_type)
    expected = f"Content-Type: found {content_type[:64]!r}, expected multipart/form-data with a boundary"
    assert caught.value.message == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nno file, but a field of its name\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n\r\nRIFF\r\n--x--\r\n',
        b'--y\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--y--\r\n',
    ],
)
def test_a_form_without_a_recording_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"^file: found none; expected a recording"):
        Transcribe(body, "multipart/form-data; boundary=x")


@settings(max_examples=300)
@given(body=st.binary(max_size=200), content_type=st.one_of(st.text(max_size=30), st.just("multipart/x; boundary=x")))
def test_nothing_but_a_bad_request_is_raised(body: bytes, content_type: str) -> None:
    with contextlib.suppress(BadRequest):
        Transcribe(body, content_type)


names = st.sampled_from(["model", "language", "prompt", "response_format", "temperature", "stream", "x"])


@given(fields=st.lists(st.tuples(names, st.text(max_size=8)), max_size=6))
def test_no_field_raises_anything_but_a_bad_request(fields: list[tuple[str, str]]) -> None:
    with contextlib.suppress(BadRequest):
        asked = transcribe(*fields)
        asked.passed_on(leg("openai"))
        asked.ask(leg())


@pytest.mark.parametrize(("fields", "expected"), [({}, None), ({"model": "auto"}, "auto"), ({"model": " é "}, "é")])
def test_the_model_that_is_wanted(fields: dict[str, Any], expected: str | None) -> None:
    assert transcribe(**fields).wanted == expected


def test_the_recording_is_asked_for_as_it_was_sent() -> None:
    asked = transcribe(model="deepgram/nova-3").ask(leg())
    assert (asked.model, asked.audio, asked.filename, asked.content_type) == (
        "the-model", b"RIFF sound", "a.wav", "audio/wav",
    )  # fmt: skip
    assert (asked.language, asked.prompt, asked.temperature) == (None, None, None)


def test_a_recording_without_a_name_gets_one() -> None:
    asked = transcribe(file=multipart.Part("file", True, b"RIFF", "", "audio/wav")).ask(leg())
    assert asked.filename == "speech"


@pytest.mark.parametrize("content_type", ["", "audio/wav\0x", "audio/wav\x7f", "audio/\xff"])
def test_a_type_that_no_header_could_have_is_none(content_type: str) -> None:
    """It may become the type of a request: control characters would end that with an error of the library's."""
    asked = transcribe(file=multipart.Part("file", True, b"RIFF", "a.wav", content_type)).ask(leg())
    assert asked.content_type == "application/octet-stream"


@pytest.mark.parametrize(
    ("language", "variant", "expected"),
    [({}, None, None), ({}, "fr", "fr"), ({"language": "de"}, "fr", "de"), ({"language": ""}, "fr", "fr")],
)
def test_the_callers_language_is_meant_more_than_the_models(
    language: dict[str, Any], variant: str | None, expected: str | None
) -> None:
    assert transcribe(**language).ask(leg(variant=variant)).language == expected


@pytest.mark.parametrize(
    ("fields", "words", "segments"),
    [
        ([], False, False),
        ([("timestamp_granularities[]", "word")], False, False),
        ([("response_format", "verbose_json")], False, True),
        ([("response_format", "verbose_json"), ("timestamp_granularities[]", "word")], True, False),
        ([("response_format", "verbose_json"), ("timestamp_granularities", "word")], True, False),
        ([("response_format", "verbose_json"), ("timestamp_granularities[]", "segment")], False, True),
        (
            [("response_format", "verbose_json"), ("timestamp_granularities[]", "word"),
             ("timestamp_granularities[]", "segment")], True, True,
        ),
    ],
)  # fmt: skip
def test_times_are_asked_for_where_the_answer_has_room_for_them(
    fields: list[tuple[str, str]], words: bool, segments: bool
) -> None:
    asked = transcribe(*fields).ask(leg())
    assert (asked.wants_words, asked.wants_segments) == (words, segments)


@pytest.mark.parametrize(("text", "expected"), [("0", 0.0), ("0.25", 0.25), ("1", 1.0), ("", None)])
def test_the_temperature_is_a_number(text: str, expected: float | None) -> None:
    assert transcribe(temperature=text).ask(leg()).temperature == expected


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"response_format": "srt"}, "response_format: found 'srt', expected one of json, text, verbose_json"),
        ({"response_format": "x" * 100}, f"response_format: found {'x' * 32!r}, expected one of json"),
        ({"temperature": "warm"}, "temperature: found 'warm', expected a number from 0 to 1"),
        ({"temperature": "nan"}, "temperature: found 'nan', expected a number from 0 to 1"),
        ({"temperature": "1.01"}, "temperature: found '1.01', expected a number from 0 to 1"),
        ({"temperature": "-inf"}, "temperature: found '-inf', expected a number from 0 to 1"),
    ],
)
def test_what_only_openai_knows_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        transcribe(**fields).ask(leg())
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(("provider", "is_declared"), [("openai", False), ("speaches", True)])
def test_openais_kind_gets_the_callers_own_form(provider: str, is_declared: bool) -> None:
    asked = transcribe(("model", "auto"), ("response_format", "srt"), ("x", "1"))
    found = asked.passed_on(leg(provider, is_declared=is_declared))
    [(name, content_type)] = found.request.headers
    assert (found.request.method, found.request.path, name) == ("POST", "/v1/audio/transcriptions", "Content-Type")
    mark = multipart.boundary(content_type)
    assert mark is not None
    parts = multipart.parts(found.request.body, mark)
    assert [(part.name, part.data) for part in parts] == [
        ("model", b"the-model"), ("response_format", b"srt"), ("x", b"1"), ("file", b"RIFF sound"),
    ]  # fmt: skip


def test_the_plain_answer_is_what_the_sdk_reads() -> None:
    answer = transcribe().answer(BOTH)
    assert Transcription.model_validate_json(answer.body).text == "Hello there."
    assert msgspec.json.decode(answer.body) == {"text": "Hello there."}


def test_text_alone_is_a_line() -> None:
    answer = transcribe(response_format="text").answer(Transcript("Où ça ?"))
    assert answer.headers == (("Content-Type", "text/plain; charset=utf-8"),)
    assert answer.body == "Où ça ?\n".encode()


def test_a_verbose_answer_has_the_times_of_sentences() -> None:
    assert told(BOTH, **VERBOSE) == {
        "task": "transcribe", "text": "Hello there.", "language": "en", "duration": 1.5,
        "segments": [{"id": 0, "start": 0.0, "end": 1.5, "text": "Hello there."}],
    }  # fmt: skip


def test_a_verbose_answer_has_the_times_of_words_where_they_are_asked_for() -> None:
    assert told(BOTH, ("timestamp_granularities[]", "word"), **VERBOSE) == {
        "task": "transcribe", "text": "Hello there.", "language": "en", "duration": 1.5,
        "words": [{"word": "Hello", "start": 0.1, "end": 0.4}, {"word": "there.", "start": 0.5, "end": 0.9}],
    }  # fmt: skip


def test_what_nobody_told_is_null_and_never_0() -> None:
    assert told(BARE, **VERBOSE) == {
        "task": "transcribe", "text": "Hello there.", "language": None, "duration": None, "segments": [],
    }  # fmt: skip
    words = Transcript("Hello", words=(Word("Hello"),))
    assert told(words, ("timestamp_granularities[]", "word"), **VERBOSE)["words"] == [
        {"word": "Hello", "start": None, "end": None}
    ]


@pytest.mark.parametrize("transcript", [BOTH, BARE], ids=["all", "the text alone"])
def test_a_verbose_answer_is_what_the_sdk_reads(transcript: Transcript) -> None:
    answer = transcribe(**VERBOSE).answer(transcript)
    with answered(answer.body) as client:
        found = client.audio.transcriptions.create(model="auto", file=b"RIFF", response_format="verbose_json")
    assert (found.text, found.language, found.duration) == (transcript.text, transcript.language, transcript.duration_s)
    assert [segment.text for segment in found.segments or []] == [part.text for part in transcript.segments]


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("True", True), ("1", True), ("false", False), ("", False), ("0", False)]
)
def test_a_stream_is_given_to_who_asks_for_one(text: str, expected: bool) -> None:
    assert transcribe(stream=text).is_streamed is expected


@pytest.mark.parametrize("response_format", ["json", "text", "verbose_json"])
def test_a_stream_is_what_the_sdk_reads(response_format: str) -> None:
    answer = transcribe(stream="true", response_format=response_format).answer(BOTH)
    assert answer.headers == (("Content-Type", "text/event-stream"),)
    with answered(answer.body, "text/event-stream") as client:
        stream = client.audio.transcriptions.create(model="auto", file=b"RIFF", stream=True)
        found = list(stream)
    assert [event.type for event in found] == ["transcript.text.delta", "transcript.text.done"]
    assert [getattr(event, "delta", None) or getattr(event, "text", None) for event in found] == ["Hello there."] * 2

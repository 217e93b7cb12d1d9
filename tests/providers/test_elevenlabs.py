"""ElevenLabs' messages beyond the captures."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from voicegw_sidecar.dialects.base import Ask
from voicegw_sidecar.events import (
    AudioOut,
    Began,
    Event,
    Failed,
    Final,
    Finished,
    Stopped,
    TextIn,
    UtteranceEnded,
    Word,
)
from voicegw_sidecar.providers.elevenlabs import ELEVENLABS, ElevenLabsSpeech
from voicegw_sidecar.providers.elevenlabs_sockets import (
    CONTEXT_LIMIT,
    ElevenLabsContexts,
    ElevenLabsScribe,
    ElevenLabsStream,
    sound_seconds,
)
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side

MULTI = "/v1/text-to-speech/v/multi-stream-input"
QUERY = (("model_id", "eleven_flash_v2_5"), ("output_format", "pcm_24000"))
SOUND = base64.b64encode(bytes(480)).decode()
Socket = ElevenLabsStream | ElevenLabsScribe


def frame(side: Side, **message: object) -> Frame:
    return Frame(side, Kind.TEXT, 0, msgspec.json.encode(message))


def asked(dialect: Socket, **message: object) -> list[Event]:
    return list(dialect.decode(frame(Side.AGENT, **message)))


def told(dialect: Socket, **message: object) -> list[Event]:
    return list(dialect.decode(frame(Side.PROVIDER, **message)))


def contexts() -> ElevenLabsContexts:
    return ElevenLabsContexts(RequestHead("GET", MULTI, QUERY))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, 1.0),
        ("mp3_44100_128", 1.0),
        ("mp3_44100", None),
        ("pcm_8000", 1.0),
        ("ulaw_8000", 2.0),
        ("opus_48000_0", None),
        ("opus_48000_x", None),
        ("aac_1_1", None),
        ("mp3_44100_" + "9" * 5000, None),
        ("pcm_" + "9" * 5000, None),
        ("pcm_99999999999999", None),
    ],
)
def test_seconds_of_a_format(name: str | None, expected: float | None) -> None:
    assert sound_seconds(name, 16_000) == expected


def test_blanks_open_no_context_and_keepalives_change_nothing() -> None:
    dialect = contexts()
    assert asked(dialect, text=" ", context_id="a", voice_settings={}) == []
    assert asked(dialect, text="", context_id="a") == []
    assert asked(dialect, context_id="a", flush=True) == []
    assert asked(dialect, context_id="a", close_context=True) == []
    assert told(dialect, isFinal=True, contextId="a") == []


def test_context_used_again_is_a_new_exchange() -> None:
    dialect = contexts()
    asked(dialect, text="One. ", context_id="a")
    assert told(dialect, isFinal=True, contextId="a") == [Finished("a")]
    assert asked(dialect, text="Two. ", context_id="a") == [
        Began(Modality.TTS, "a", "eleven_flash_v2_5"), TextIn("Two. ", "a")]  # fmt: skip


def test_text_after_a_flush_is_not_the_end_of_it() -> None:
    dialect = contexts()
    asked(dialect, text="One. ", context_id="a")
    asked(dialect, context_id="a", flush=True)
    asked(dialect, text="Two. ", context_id="a")
    assert asked(dialect, context_id="a", close_context=True) == [Stopped("a")]


def test_default_context_is_followed_under_whatever_name_it_is_given() -> None:
    dialect = contexts()
    asked(dialect, text="One. ")
    assert told(dialect, audio=SOUND, contextId="of-their-own") == [AudioOut(0.01, audio=SOUND)]
    assert told(dialect, isFinal=True, contextId="of-their-own") == [Finished()]


def test_contexts_over_the_limit_are_not_followed() -> None:
    dialect = contexts()
    for number in range(CONTEXT_LIMIT):
        assert asked(dialect, text="x", context_id=str(number))
    assert asked(dialect, text="x", context_id="one more") == []


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"error": "voice_not_found", "contextId": "a", "message": "x"}, Failed("voice_not_found", "a", "x")),
        ({"error": "a text of its own", "code": 1008}, Failed("error_1008", "*", "a text of its own")),
        ({"error": 1008, "code": "a text"}, Failed("provider_error", "*")),
        ({"error": "quota_exceeded", "message": "a" * 501}, Failed("quota_exceeded", "*", "a" * 500)),
    ],
)
def test_errors_name_a_code_and_keep_the_text_apart(message: dict[str, Any], expected: Event) -> None:
    dialect = contexts()
    asked(dialect, text="One. ", context_id="a")
    assert told(dialect, **message) == [expected]


def test_asking_changes_nothing_and_tells_what_begins() -> None:
    dialect = contexts()
    opener = frame(Side.AGENT, text=" ", context_id="a")
    text = frame(Side.AGENT, text="One. ", context_id="a")
    assert dialect.asks(opener) == Ask("a", "eleven_flash_v2_5", begins=False)
    assert dialect.asks(text) == dialect.asks(text) == Ask("a", "eleven_flash_v2_5", begins=True)
    list(dialect.decode(text))
    assert dialect.asks(text) == Ask("a", "eleven_flash_v2_5", begins=False)
    assert dialect.asks(frame(Side.AGENT, context_id="b", close_context=True, text="x")) == Ask(
        "b", "eleven_flash_v2_5", begins=False)  # fmt: skip
    for other in (
        frame(Side.AGENT, close_socket=True),
        frame(Side.PROVIDER, audio=SOUND, contextId="a"),
        Frame(Side.AGENT, Kind.TEXT, 0, b"no JSON"),
        Frame(Side.AGENT, Kind.BINARY, 0, b"{}"),
    ):
        assert dialect.asks(other) is None


def test_refusals_are_worded_as_its_clients_read_them() -> None:
    endpoint = ELEVENLABS.endpoint("GET", MULTI, is_socket=True)
    assert endpoint is not None
    assert endpoint.refusal_frame is not None
    assert endpoint.refusal_frame("a", "budget_exceeded", "Spent.") == {
        "message": "Spent.", "error": "quota_exceeded", "code": 1008, "contextId": "a", "context_id": "a"}  # fmt: skip
    detail = msgspec.json.decode(ELEVENLABS.errors.encode(402, "budget_throttled", "Spent.").body)["detail"]
    assert (detail["code"], detail["status"], detail["message"]) == ("quota_exceeded", "quota_exceeded", "Spent.")
    detail = msgspec.json.decode(ELEVENLABS.errors.encode(404, "unknown_project", "None.").body)["detail"]
    assert (detail["type"], detail["code"]) == ("not_found", "unknown_project")


@pytest.mark.parametrize(
    ("asks", "side", "end", "expected"),
    [
        ([{"text": ""}], Side.PROVIDER, End.COMPLETE, [Finished()]),
        ([{"close_socket": True}], Side.PROVIDER, End.COMPLETE, [Finished()]),
        ([], Side.PROVIDER, End.COMPLETE, [Failed("connection_closed", "*")]),
        ([{"text": ""}], Side.PROVIDER, End.BROKEN, []),
        ([{"text": ""}], Side.AGENT, End.COMPLETE, []),
    ],
)
def test_a_close_finishes_only_what_was_asked_to_be_finished(
    asks: list[dict[str, Any]], side: Side, end: End, expected: list[Event]
) -> None:
    dialect = ElevenLabsStream(RequestHead("GET", "/v1/text-to-speech/v/stream-input", QUERY))
    asked(dialect, text=" ")
    asked(dialect, text="Hello ")
    for message in asks:
        asked(dialect, **message)
    assert list(dialect.ended(side, end)) == expected


def test_commit_that_comes_once_though_asked_for_twice_is_final() -> None:
    query = (("model_id", "scribe_v2_realtime"), ("include_timestamps", "true"))
    dialect = ElevenLabsScribe(RequestHead("GET", "/v1/speech-to-text/realtime", query))
    copy = {
        "message_type": "committed_transcript_with_timestamps",
        "text": "a",
        "words": [{"start": 0.1, "end": 0.2, "type": "spacing"}, {"start": 0.5, "end": 1.5, "type": "word"}],
    }
    assert told(dialect, **copy) == [Final("a", 1.5, 0.5), UtteranceEnded()]
    assert told(dialect, message_type="committed_transcript", text="b") == [Final("b")]
    assert told(dialect, **{**copy, "words": None}) == [UtteranceEnded()]


def test_words_and_language_come_with_the_only_copy_of_a_commit() -> None:
    query = (("model_id", "scribe_v2_realtime"), ("include_timestamps", "true"))
    words = [
        {"text": "Hi", "start": 0.5, "end": 1.0, "type": "word", "logprob": 0.0, "speaker_id": "speaker_0"},
        {"text": " ", "start": 1.0, "end": 1.1, "type": "spacing", "logprob": 0.0},
        {"text": "you", "start": 1.1, "end": 1.5, "type": "word", "logprob": 0.5},
    ]
    message = {"message_type": "committed_transcript_with_timestamps", "text": "Hi you", "language_code": "en"}
    heard = (Word("Hi", 0.5, 1.0, 1.0, "speaker_0"), Word("you", 1.1, 1.5))
    dialect = ElevenLabsScribe(RequestHead("GET", "/v1/speech-to-text/realtime", query))
    assert told(dialect, **message, words=words) == [
        Final("Hi you", 1.5, 0.5, words=heard, language="en"), UtteranceEnded()]  # fmt: skip


@pytest.mark.parametrize("audio", ["", "A", "not base64 é", "===="])
def test_chunk_without_audio_begins_nothing(audio: str) -> None:
    dialect = ElevenLabsScribe(RequestHead("GET", "/v1/speech-to-text/realtime"))
    assert asked(dialect, message_type="input_audio_chunk", audio_base_64=audio) == []
    assert asked(dialect, message_type="commit") == []


def test_line_that_is_too_long_is_skipped_and_the_next_one_counts() -> None:
    head = RequestHead("POST", "/v1/text-to-speech/v/stream/with-timestamps", QUERY)
    dialect = ElevenLabsSpeech(head)
    list(dialect.answered(ResponseHead(200, "application/json")))
    pieces = [
        b'{"audio_base64":"' + b"A" * 3_000_000,
        b"A" * 3_000_000,
        b'"}\n{"audio_base64":"' + SOUND.encode() + b'"}\n',
    ]
    events = [event for piece in pieces for event in dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, piece))]
    assert events == [AudioOut(0.01)]


def test_answer_of_speech_over_the_limit_is_sound_of_unknown_length() -> None:
    dialect = ElevenLabsSpeech(RequestHead("POST", "/v1/text-to-speech/v/with-timestamps", QUERY))
    list(dialect.answered(ResponseHead(200, "application/json")))
    list(dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, b"A" * 9_000_000)))
    assert list(dialect.ended(Side.PROVIDER, End.COMPLETE)) == [AudioOut(None), Finished()]

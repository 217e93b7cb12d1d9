"""Deepgram's messages beyond the captures."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from voicegw_sidecar.events import (
    AudioOut,
    Began,
    Event,
    Failed,
    Final,
    Finished,
    Interim,
    Stopped,
    StreamDuration,
    TextIn,
    UtteranceEnded,
    Word,
)
from voicegw_sidecar.providers.deepgram_listen import DeepgramListen
from voicegw_sidecar.providers.deepgram_speak import DeepgramSpeak
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, Side

SOUND = bytes(480)
X = (Word("x", 0.0, 1.0),)


def results(transcript: str | None, end: float | None = None, **more: Any) -> dict[str, Any]:
    words = [] if end is None else [{"word": "x", "start": 0.0, "end": end}]
    return {
        "type": "Results",
        "is_final": True,
        "channel": {"alternatives": [{"transcript": transcript, "words": words}]},
        **more,
    }


def told(dialect: DeepgramListen | DeepgramSpeak, message: object) -> list[Event]:
    kind, data = (Kind.BINARY, message) if isinstance(message, bytes) else (Kind.TEXT, msgspec.json.encode(message))
    return list(dialect.decode(Frame(Side.PROVIDER, kind, 0, data)))


def asked(dialect: DeepgramSpeak, kind: str, text: str | None = None) -> list[Event]:
    data = msgspec.json.encode({"type": kind} if text is None else {"type": kind, "text": text})
    return list(dialect.decode(Frame(Side.AGENT, Kind.TEXT, 0, data)))


def listen() -> DeepgramListen:
    return DeepgramListen(RequestHead("GET", "/v1/listen", (("model", "nova-3"),)))


def speak() -> DeepgramSpeak:
    return DeepgramSpeak(RequestHead("GET", "/v1/speak"))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (results("a", 1.0), [Final("a", 1.0, 0.0, words=X)]),
        (results("a"), [Final("a")]),
        (results("a", 1.0, speech_final=True), [Final("a", 1.0, 0.0, words=X), UtteranceEnded()]),
        (results("", speech_final=True), [UtteranceEnded()]),
        (results(None, from_finalize=True), [UtteranceEnded()]),
        (results("a", is_final=False), [Interim("a")]),
        (results("", is_final=False), []),
        (
            {"type": "Results", "is_final": True, "speech_final": True, "channel": {"alternatives": []}},
            [UtteranceEnded()],
        ),
        (
            {"type": "Results", "is_final": True, "speech_final": True, "channel": {"alternatives": 5}},
            [UtteranceEnded()],
        ),
        (
            {"type": "Results", "is_final": True, "channel": {"alternatives": [{"transcript": "a", "words": None}]}},
            [Final("a")],
        ),
        ({"type": "SpeechStarted", "channel": [0, 1], "timestamp": 1.0}, []),
        ({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": -1}, [UtteranceEnded()]),
        ({"type": "Metadata", "duration": 2.5}, [StreamDuration(2.5)]),
        ({"type": "Metadata"}, []),
        ({"type": "Error", "description": "a text"}, [Failed("provider_error", "*", "a text")]),
        ({"type": "Error", "description": "a" * 501}, [Failed("provider_error", "*", "a" * 500)]),
        ({"type": "Error"}, [Failed("provider_error", "*")]),
        ({"type": "ConfigureSuccess"}, []),
        ([], []),
    ],
)
def test_messages_of_listening(message: object, expected: list[Event]) -> None:
    assert told(listen(), message) == expected


def test_gap_after_an_utterance_that_has_ended_does_not_end_the_next() -> None:
    dialect = listen()
    told(dialect, results("one", 1.0, speech_final=True))
    told(dialect, results("two", 3.0))
    assert told(dialect, {"type": "UtteranceEnd", "last_word_end": 1.0}) == []
    assert told(dialect, {"type": "UtteranceEnd", "last_word_end": 3.0}) == [UtteranceEnded()]


def test_a_message_that_cannot_be_read_loses_no_other() -> None:
    dialect = listen()
    assert told(dialect, {"type": "Results", "is_final": "yes", "channel": "odd"}) == []
    assert told(dialect, results("a", 1.0)) == [Final("a", 1.0, 0.0, words=X)]


def test_a_final_piece_says_its_words_as_they_are_written_and_its_language() -> None:
    words = [
        {"word": "où", "punctuated_word": "Où", "start": 0.5, "end": 0.75, "confidence": 0.5, "speaker": 0},
        {"word": "ça", "start": 0.75, "end": 1.0, "confidence": 0.25},
        {"start": 1.0, "end": 1.0},
    ]
    best = {"transcript": "Où ça", "words": words, "languages": ["fr", "en"], "confidence": 0.375}
    message = {"type": "Results", "is_final": True, "channel": {"alternatives": [best]}}
    heard = (Word("Où", 0.5, 0.75, 0.5, "0"), Word("ça", 0.75, 1.0, 0.25))
    assert told(listen(), message) == [Final("Où ça", 1.0, 0.5, words=heard, language="fr", confidence=0.375)]
    assert told(listen(), message | {"is_final": False}) == [Interim("Où ça")]


def test_default_voice_is_named() -> None:
    assert asked(speak(), "Speak", "Hi") == [Began(Modality.TTS, "0", "aura-asteria-en"), TextIn("Hi", "0")]


@pytest.mark.parametrize("answers_empty_flushes", [True, False])
def test_flush_of_nothing_ends_nobodys_utterance(answers_empty_flushes: bool) -> None:
    dialect = speak()
    for kind, text in (("Speak", "A"), ("Flush", None), ("Flush", None), ("Speak", "B"), ("Flush", None)):
        asked(dialect, kind, text)
    events = [*told(dialect, SOUND), *told(dialect, {"type": "Flushed"})]
    if answers_empty_flushes:
        assert told(dialect, {"type": "Flushed"}) == []
    events += [*told(dialect, SOUND), *told(dialect, {"type": "Flushed"})]
    assert events == [AudioOut(0.01, "0", SOUND), Finished("0"), AudioOut(0.01, "1", SOUND), Finished("1")]


def test_sound_under_way_when_cleared_is_not_the_next_utterances() -> None:
    dialect = speak()
    asked(dialect, "Speak", "A")
    assert asked(dialect, "Clear") == [Stopped("0")]
    asked(dialect, "Speak", "B")
    assert told(dialect, SOUND) == []
    told(dialect, {"type": "Cleared"})
    assert told(dialect, SOUND) == [AudioOut(0.01, "1", SOUND)]


@pytest.mark.parametrize(
    ("asks", "side", "end", "expected"),
    [
        (["Close"], Side.PROVIDER, End.COMPLETE, [Finished("0"), Finished("1")]),
        ([], Side.PROVIDER, End.COMPLETE, [Failed("connection_closed", "*")]),
        (["Close"], Side.PROVIDER, End.BROKEN, []),
        (["Close"], Side.AGENT, End.COMPLETE, []),
    ],
)
def test_a_close_finishes_only_what_was_asked_to_be_finished(
    asks: list[str], side: Side, end: End, expected: list[Event]
) -> None:
    dialect = speak()
    asked(dialect, "Speak", "A")
    asked(dialect, "Flush")
    asked(dialect, "Speak", "B")
    for kind in asks:
        asked(dialect, kind)
    assert list(dialect.ended(side, end)) == expected


def test_error_names_a_code_and_keeps_the_text_apart() -> None:
    error = {"type": "Error", "err_code": "NET-0001", "err_msg": "a" * 501}
    assert told(speak(), error) == [Failed("NET-0001", "*", "a" * 500)]
    assert told(speak(), {"type": "Error", "code": "a text of its own"}) == [Failed("provider_error", "*")]
    assert told(speak(), {"type": "Warning", "code": "X", "description": "text"}) == []

"""Deepgram's Flux, recordings and HTTP speech beyond the captures."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from voicegw_sidecar.dialects.base import Ask
from voicegw_sidecar.events import AudioOut, Began, Event, Failed, Final, Finished, Interim, Used, UtteranceEnded, Word
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.providers.deepgram_listen import DeepgramFlux, DeepgramPrerecorded
from voicegw_sidecar.providers.deepgram_speak import DeepgramFluxSpeak, DeepgramSpeak, DeepgramSpeech
from voicegw_sidecar.terms import Modality, Usage
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side

SOUND = bytes(480)


def flux() -> DeepgramFlux:
    return DeepgramFlux(RequestHead("GET", "/v2/listen", (("encoding", "linear16"), ("sample_rate", "16000"))))


def told(dialect: DeepgramFlux | DeepgramSpeak, **message: object) -> list[Event]:
    return list(dialect.decode(Frame(Side.PROVIDER, Kind.TEXT, 0, msgspec.json.encode(message))))


def said(kind: str, text: str | None = None) -> Frame:
    return Frame(Side.AGENT, Kind.TEXT, 0, msgspec.json.encode({"type": kind, "text": text}))


def turn(event: str, transcript: str | None = "a", words: object = None) -> dict[str, object]:
    return {"type": "TurnInfo", "event": event, "transcript": transcript, "words": words}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (turn("StartOfTurn"), [Interim("a")]),
        (turn("EagerEndOfTurn"), [Interim("a", is_eager=True)]),
        (turn("TurnResumed"), [Interim("a")]),
        (turn("Update", ""), []),
        (turn("EndOfTurn", words=[{"word": "a", "end": 1.5}]),
         [Final("a", 1.5, words=(Word("a", end_s=1.5),)), UtteranceEnded()]),
        (
            turn("EndOfTurn", words=[{"start": 0.5, "end": 0.9}, {"start": 1.0, "end": 1.5}]),
            [Final("a", 1.5, 0.5), UtteranceEnded()],
        ),
        (turn("EndOfTurn", words=[{"word": "a"}]), [Final("a", words=(Word("a"),)), UtteranceEnded()]),
        (turn("EndOfTurn") | {"languages": ["es", "en"]}, [Final("a", language="es"), UtteranceEnded()]),
        (turn("EndOfTurn", ""), []),
        ({"type": "Connected"}, []),
        ({"type": "ConfigureFailure"}, []),
        ({"type": "Error", "code": "X_Y"}, [Failed("X_Y", "*")]),
        ({"type": "Error", "code": "X_Y", "description": "a text"}, [Failed("X_Y", "*", "a text")]),
        ({"type": "Error", "code": "a text of its own"}, [Failed("provider_error", "*")]),
    ],
)  # fmt: skip
def test_messages_of_turns(message: dict[str, Any], expected: list[Event]) -> None:
    assert told(flux(), **message) == expected


@pytest.mark.parametrize("kind", [DeepgramSpeak, DeepgramFluxSpeak])
def test_first_text_of_an_utterance_asks_and_the_rest_belongs_to_it(kind: type[DeepgramSpeak]) -> None:
    dialect = kind(RequestHead("GET", "/", (("model", "m"),)))
    assert dialect.asks(said("Speak", " ")) is None
    assert dialect.asks(said("Speak", "A")) == Ask("0", "m", begins=True)
    dialect.decode(said("Speak", "A"))
    assert dialect.asks(said("Speak", " ")) == Ask("0", "m", begins=False)
    assert dialect.asks(said("Flush")) is None
    dialect.decode(said("Flush"))
    assert dialect.asks(said("Speak", "B")) == Ask("1", "m", begins=True)
    assert dialect.asks(Frame(Side.AGENT, Kind.BINARY, 0, b"{}")) is None


def test_flux_without_a_rate_does_not_tell_its_seconds() -> None:
    dialect = DeepgramFluxSpeak(RequestHead("GET", "/v2/speak", (("encoding", "linear16"),)))
    dialect.decode(said("Speak", "A"))
    assert list(dialect.decode(Frame(Side.PROVIDER, Kind.BINARY, 0, SOUND))) == [AudioOut(None, "0", SOUND)]


def test_flux_ends_a_turn_once() -> None:
    dialect = DeepgramFluxSpeak(RequestHead("GET", "/v2/speak"))
    dialect.decode(said("Flush"))
    for text in ("A", "B"):
        dialect.decode(said("Speak", text))
        dialect.decode(said("Flush"))
    assert told(dialect, type="SpeechMetadata") == [Finished("0")]
    assert told(dialect, type="Flushed") == []
    assert told(dialect, type="SpeechMetadata") == [Finished("1")]
    assert told(dialect, type="SpeechInterrupted") == []


def test_refusal_in_a_flux_socket_is_its_error_and_others_have_none() -> None:
    refusals = {}
    for path in ("/v1/listen", "/v2/listen", "/v1/speak", "/v2/speak"):
        endpoint = BY_ID["deepgram"].endpoint("GET", path, is_socket=True)
        assert endpoint is not None
        refusals[path] = endpoint.refusal_frame
    assert refusals["/v1/listen"] is refusals["/v1/speak"] is None
    assert refusals["/v2/speak"] is not None
    frame = refusals["/v2/speak"]("0", "budget_exceeded", "The budget is spent.")
    assert (frame["type"], frame["code"], frame["description"]) == ("Error", "budget_exceeded", "The budget is spent.")


def test_seconds_of_a_recording_whose_results_are_not_understood_still_count() -> None:
    dialect = DeepgramPrerecorded(RequestHead("POST", "/v1/listen", (("model", "nova-3"),)))
    assert next(iter(dialect.ended(Side.AGENT, End.COMPLETE))) == Began(Modality.STT, model="nova-3")
    dialect.answered(ResponseHead(200, "application/json"))
    body = msgspec.json.encode({"metadata": {"duration": 3.0}, "results": "odd"})
    dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, body))
    assert list(dialect.ended(Side.PROVIDER, End.COMPLETE)) == [Used(Usage(audio_s=3.0)), Finished()]


def test_receipt_of_speech_that_goes_elsewhere_is_no_audio() -> None:
    dialect = DeepgramSpeech(RequestHead("POST", "/v1/speak", (("callback", "https://example.com"),)))
    dialect.answered(ResponseHead(200, "application/json"))
    assert list(dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, b'{"request_id":"r"}'))) == []


@pytest.mark.parametrize(
    ("model", "language", "expected"),
    [
        ("nova-3", "en", "nova-3-batch"),
        ("nova-3-general", "multi", "nova-3-multilingual-batch"),
        ("nova-3-medical", "en", "nova-3-batch"),
        ("nova-2-phonecall", "en", "nova-2-batch"),
        ("whisper-large", "en", "whisper-large"),
    ],
)
def test_recordings_are_priced_by_their_family(model: str, language: str, expected: str) -> None:
    endpoint = BY_ID["deepgram"].endpoint("POST", "/v1/listen", is_socket=False)
    assert endpoint is not None
    assert endpoint.catalogue_model is not None
    assert endpoint.catalogue_model(model, RequestHead("POST", "/v1/listen", (("language", language),))) == expected

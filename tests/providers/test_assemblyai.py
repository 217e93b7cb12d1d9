"""AssemblyAI's messages beyond the captures, and its jobs."""

from __future__ import annotations

import msgspec
import pytest

from voicegw_sidecar.events import (
    Answered,
    Began,
    Deferred,
    Event,
    Failed,
    Final,
    Finished,
    Interim,
    RequestComplete,
    UtteranceEnded,
    Word,
)
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.providers.assemblyai import AssemblyAIRecording, AssemblyAIStream, job_state
from voicegw_sidecar.providers.base import JobState
from voicegw_sidecar.terms import Modality, Usage
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side

HEAD = RequestHead("GET", "/v3/ws", (("speech_model", "universal-3-6-pro"),))


def told(dialect: AssemblyAIStream, **message: object) -> list[Event]:
    return list(dialect.decode(Frame(Side.PROVIDER, Kind.TEXT, 0, msgspec.json.encode(message))))


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "Turn", "transcript": "a", "words": []}, [Interim("a")]),
        ({"type": "Turn", "transcript": "", "words": [{"text": "b"}, {"text": "c"}]}, [Interim("b c")]),
        ({"type": "Turn", "transcript": "", "words": [], "end_of_turn": True}, []),
        ({"type": "Turn", "transcript": "a", "end_of_turn": True}, [Final("a"), UtteranceEnded()]),
        ({"type": "Turn", "transcript": "a", "end_of_turn": True, "words": [{"end": 1500}]},
         [Final("a", 1.5), UtteranceEnded()]),
        (
            {"type": "Turn", "transcript": "a", "end_of_turn": True, "words": [{"start": 200}, {"end": 900}]},
            [Final("a", 0.9, 0.2), UtteranceEnded()],
        ),
        (
            {"type": "Turn", "transcript": "a", "end_of_turn": True, "language_code": "es",
             "words": [{"text": "a", "start": 250, "end": 500, "confidence": 0.5, "speaker": "A"}]},
            [Final("a", 0.5, 0.25, words=(Word("a", 0.25, 0.5, 0.5, "A"),), language="es"), UtteranceEnded()],
        ),
        (
            {"type": "Turn", "transcript": "a", "end_of_turn": True, "words": [{"text": "a", "speaker": "UNKNOWN"}]},
            [Final("a", words=(Word("a"),)), UtteranceEnded()],
        ),
        ({"type": "Turn", "transcript": "a b", "utterance": "a b", "words": []}, [Interim("a b", is_eager=True)]),
        ({"type": "Turn", "transcript": "a", "words": "odd"}, [Interim("a")]),
        ({"type": "SpeechStarted", "timestamp": 100}, []),
        ({"type": "Termination"}, []),
        ({"type": "Warning", "warning_code": 1, "warning": "a text"}, []),
        ({"type": "Error", "error_code": 1008, "error": "a text"}, [Failed("error_1008", "*", "a text")]),
        ({"type": "Error", "error_code": "a text"}, [Failed("provider_error", "*")]),
        ({"type": "Error"}, [Failed("error_frame", "*")]),
        ({}, []),
    ],
)  # fmt: skip
def test_messages(message: dict[str, object], expected: list[Event]) -> None:
    assert told(AssemblyAIStream(HEAD), **message) == expected


def test_turn_ends_once_and_the_next_one_counts() -> None:
    dialect = AssemblyAIStream(HEAD)
    turn = {"type": "Turn", "end_of_turn": True, "transcript": "a"}
    assert told(dialect, **turn, turn_order=0)
    assert told(dialect, **turn, turn_order=0) == []
    assert told(dialect, **turn, turn_order=1)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("universal-3-5-pro", "universal-3-5-pro-streaming"),
        ("u3-rt-pro", "universal-3-5-pro-streaming"),
        ("universal-streaming-english", "universal-streaming-english"),
        ("universal-3-6-pro", "universal-3-6-pro"),
    ],
)
def test_live_models_have_their_own_price(model: str, expected: str) -> None:
    endpoint = BY_ID["assemblyai"].endpoint("GET", "/v3/ws", is_socket=True)
    assert endpoint is not None
    assert endpoint.catalogue_model is not None
    assert endpoint.catalogue_model(model, HEAD) == expected


@pytest.mark.parametrize(
    ("request_body", "answer", "model", "end"),
    [
        (b'{"audio_url":"u","speech_models":["universal-3-5-pro","universal-2"]}', b'{"id":"t","status":"queued"}',
         "universal-3-5-pro", Deferred("t")),
        (b'{"audio_url":"u","speech_model":"best"}', b'{"id":"t","status":"processing","text":null}', "best",
         Deferred("t")),
        (b"no JSON", b'{"id":"t","status":"queued"}', None, Deferred("t")),
        (b"{}", b'{"error":"a text"}', None, Finished()),
        (b"{}", b'{"id":"","status":"queued"}', None, Finished()),
        (b"{}", b"no JSON", None, Finished()),
    ],
)  # fmt: skip
def test_recording_that_is_handed_in_goes_on_under_its_id(
    request_body: bytes, answer: bytes, model: str | None, end: Event
) -> None:
    dialect = AssemblyAIRecording(RequestHead("POST", "/v2/transcript"))
    events = [
        *dialect.decode(Frame(Side.AGENT, Kind.BODY, 0, request_body)),
        *dialect.ended(Side.AGENT, End.COMPLETE),
        *dialect.answered(ResponseHead(200, "application/json")),
        *dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, answer)),
        *dialect.ended(Side.PROVIDER, End.COMPLETE),
    ]
    assert events == [Began(Modality.STT, model=model), RequestComplete(), Answered(), end]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"id": "t", "status": "queued", "audio_duration": None}, JobState("t")),
        ({"id": "t", "status": "processing"}, JobState("t")),
        ({"id": "t", "status": "completed", "audio_duration": 281, "speech_model_used": "universal-2",
          "speech_model": None}, JobState("t", is_done=True, model="universal-2", usage=Usage(audio_s=281.0))),
        ({"id": "t", "status": "completed", "audio_duration": 1.5, "speech_model": "best"},
         JobState("t", is_done=True, model="best", usage=Usage(audio_s=1.5))),
        ({"id": "t", "status": "error", "error": "Download error, unable to download https://…"},
         JobState("t", error="transcription_failed")),
        ({"id": "t", "status": "a new one"}, JobState("t")),
        ({"error": "Transcript lookup error, transcript id not found"}, None),
        ([], None),
    ],
)  # fmt: skip
def test_answer_about_a_recording(answer: object, expected: JobState | None) -> None:
    assert job_state(msgspec.json.encode(answer)) == expected

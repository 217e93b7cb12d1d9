"""AssemblyAI's messages beyond the captures, and its jobs."""

from __future__ import annotations

import msgspec
import pytest

from voicegw_sidecar.events import Event, Failed, Final, Interim, UtteranceEnded
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.providers.assemblyai import (
    AssemblyAIStream,
    JobAsked,
    JobState,
    JobStatus,
    job_asked,
    job_state,
)
from voicegw_sidecar.wire.frames import Frame, Kind, RequestHead, Side

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
        ({"type": "Turn", "transcript": "a", "words": "odd"}, []),
        ({"type": "SpeechStarted", "timestamp": 100}, []),
        ({"type": "Termination"}, []),
        ({"type": "Warning", "warning_code": 1, "warning": "a text"}, []),
        ({"type": "Error", "error_code": 1008, "error": "a text"}, [Failed("error_1008", "*")]),
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
    ("request_body", "answer", "expected"),
    [
        (b'{"audio_url":"u","speech_models":["universal-3-5-pro","universal-2"]}', b'{"id":"t","status":"queued"}',
         JobAsked("t", JobStatus.QUEUED, "universal-3-5-pro")),
        (b'{"audio_url":"u","speech_model":"best"}', b'{"id":"t","status":"processing","text":null}',
         JobAsked("t", JobStatus.PROCESSING, "best")),
        (b'{"audio_url":"u"}', b'{"id":"t","status":"queued"}', JobAsked("t", JobStatus.QUEUED)),
        (None, b'{"id":"t","status":"queued"}', JobAsked("t", JobStatus.QUEUED)),
        (b"{}", b'{"error":"a text"}', None),
        (b"{}", b'{"id":"","status":"queued"}', None),
        (b"{}", b"no JSON", None),
        (b"{}", None, None),
    ],
)  # fmt: skip
def test_job_as_it_is_handed_in(request_body: bytes | None, answer: bytes | None, expected: JobAsked | None) -> None:
    assert job_asked(request_body, answer) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"id": "t", "status": "queued", "audio_duration": None}, JobState("t", JobStatus.QUEUED)),
        ({"id": "t", "status": "processing"}, JobState("t", JobStatus.PROCESSING)),
        ({"id": "t", "status": "completed", "audio_duration": 281, "speech_model_used": "universal-2",
          "speech_model": None}, JobState("t", JobStatus.COMPLETED, 281.0, "universal-2")),
        ({"id": "t", "status": "completed", "audio_duration": 1.5, "speech_model": "best"},
         JobState("t", JobStatus.COMPLETED, 1.5, "best")),
        ({"id": "t", "status": "error", "error": "Download error, unable to download https://…"},
         JobState("t", JobStatus.ERROR, error="transcription_failed")),
        ({"id": "t", "status": "a new one"}, None),
        ({"error": "Transcript lookup error, transcript id not found"}, None),
        ([], None),
    ],
)  # fmt: skip
def test_job_as_it_is_polled(answer: object, expected: JobState | None) -> None:
    assert job_state(msgspec.json.encode(answer)) == expected

"""Speech and transcriptions beyond the captures."""

from __future__ import annotations

import struct

import msgspec
import pytest

from voicegw_sidecar.dialects.openai_audio import OpenAISpeech, OpenAITranscription
from voicegw_sidecar.events import AudioOut, Began, Event, Failed, Final, Finished, Interim, TextIn, Used
from voicegw_sidecar.terms import Usage
from voicegw_sidecar.wire.body import BODY_LIMIT_BYTES
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side

UPLOAD = RequestHead("POST", "/", (), "multipart/form-data; boundary=x")


def spoken(answer: bytes, content_type: str, **request: str | None) -> list[Event]:
    return _run(OpenAISpeech(RequestHead("POST", "/")), msgspec.json.encode(request), answer, content_type)


def transcribed(answer: bytes, content_type: str = "application/json", upload: bytes = b"") -> list[Event]:
    return _run(OpenAITranscription(UPLOAD), upload, answer, content_type)


def _run(dialect: OpenAISpeech | OpenAITranscription, sent: bytes, answer: bytes, content_type: str) -> list[Event]:
    events = [*dialect.decode(Frame(Side.AGENT, Kind.BODY, 0, sent)), *dialect.ended(Side.AGENT, End.COMPLETE)]
    events += dialect.answered(ResponseHead(200, content_type))
    events += dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, answer))
    return [*events, *dialect.ended(Side.PROVIDER, End.COMPLETE)]


def sse(**event: object) -> bytes:
    return b"data: " + msgspec.json.encode(event) + b"\n\n"


@pytest.mark.parametrize(
    ("wanted", "content_type", "answer", "expected"),
    [
        ("pcm", "audio/pcm", bytes(480), [AudioOut(0.01)]),
        ("mp3", "audio/mpeg", bytes(480), [AudioOut(None)]),
        (None, "audio/mpeg", bytes(480), [AudioOut(None)]),
        ("wav", "audio/wav", b"ID3xxx", [AudioOut(None)]),
        ("pcm", "application/json", b'{"error":"x"}', []),
        ("pcm", "text/event-stream", sse(type="speech.audio.delta", delta="AAAA"), [AudioOut(3 / 48_000, "", "AAAA")]),
        ("mp3", "Text/Event-Stream", sse(type="speech.audio.delta", audio="AAAA"), [AudioOut(None, audio="AAAA")]),
        ("pcm", "text/event-stream", sse(type="error", error={"code": "server_error"}), [Failed("server_error")]),
        ("pcm", "text/event-stream", sse(type="error", error={"message": "x"}), [Failed("provider_error", "", "x")]),
        ("pcm", "text/event-stream", b"data: {broken\n\n", []),
    ],
)
def test_audio_by_what_is_asked_and_what_comes(
    wanted: str | None, content_type: str, answer: bytes, expected: list[Event]
) -> None:
    assert spoken(answer, content_type, input="Hi", response_format=wanted)[4:] == [*expected, Finished()]


def test_speech_request_that_cannot_be_read_still_begins() -> None:
    events = _run(OpenAISpeech(RequestHead("POST", "/")), b"\xff", b"x", "audio/mpeg")
    assert events[:2] == [next(event for event in events if isinstance(event, Began)), TextIn("")]


@pytest.mark.parametrize(
    ("answer", "content_type", "expected"),
    [
        (b'{"text":"Hi","duration":1.5}', "application/json", [Final("Hi"), Used(Usage(audio_s=1.5))]),
        (b'{"text":"Hi","duration":"1.5"}', "application/json", [Final("Hi"), Used(Usage(audio_s=1.5))]),
        (b'{"text":"Hi","duration":"nan"}', "application/json", [Final("Hi")]),
        (
            b'{"text":"Hi","usage":{"type":"duration"},"duration":2}',
            "application/json",
            [Final("Hi"), Used(Usage(audio_s=2.0))],
        ),
        (
            b'{"text":"Hi","usage":{"type":"duration","seconds":3}}',
            "application/json",
            [Final("Hi"), Used(Usage(audio_s=3.0))],
        ),
        (b"1\n00:00 --> 00:01\nHi\n", "text/plain", [Final("1\n00:00 --> 00:01\nHi\n")]),
        (b"", "application/json", [Final("")]),
        (sse(type="transcript.text.delta", delta="H"), "text/event-stream", [Interim("H")]),
        (sse(type="error", error={"type": "server_error"}), "text/event-stream", [Failed("server_error")]),
    ],
)
def test_answers_of_all_formats(answer: bytes, content_type: str, expected: list[Event]) -> None:
    assert transcribed(answer, content_type)[3:] == [*expected, Finished()]


def test_upload_over_the_limit_still_tells_model_and_seconds() -> None:
    samples = BODY_LIMIT_BYTES + 64_000
    wav = b"RIFF" + struct.pack("<I", 0) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    wav += b"data" + struct.pack("<I", samples) + bytes(samples)
    upload = b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    upload += b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + wav + b"\r\n--x--\r\n"
    began = transcribed(b'{"text":"Hi"}', upload=upload)[0]
    assert isinstance(began, Began)
    assert (began.model, began.audio_s) == ("whisper-1", samples / 32_000)


def test_upload_without_form_or_wav_tells_nothing() -> None:
    began = transcribed(b"{}", upload=b"\xff\xfb" * 100)[0]
    assert isinstance(began, Began)
    assert (began.model, began.audio_s) == (None, None)

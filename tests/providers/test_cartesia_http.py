"""Cartesia's commanded recognition, HTTP speech and refusals beyond the captures."""

from __future__ import annotations

import msgspec
import pytest

from voicegw_sidecar.dialects.base import Ask
from voicegw_sidecar.events import AudioOut, Event, Failed, Final, Finished, Interim, UtteranceEnded
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.providers.cartesia import CartesiaListen, CartesiaSpeech, CartesiaSpeechRequest
from voicegw_sidecar.wire.frames import Frame, Kind, RequestHead, ResponseHead, Side


def listen(model: str) -> CartesiaListen:
    return CartesiaListen(RequestHead("GET", "/stt/websocket", (("model", model),)))


def told(dialect: CartesiaListen, kind: str, **message: object) -> list[Event]:
    data = msgspec.json.encode({"type": kind, **message})
    return list(dialect.decode(Frame(Side.PROVIDER, Kind.TEXT, 0, data)))


def sent(**message: object) -> Frame:
    return Frame(Side.AGENT, Kind.TEXT, 0, msgspec.json.encode(message))


def test_whisper_ends_an_utterance_by_itself_and_ink_2_does_not() -> None:
    assert told(listen("ink-whisper"), "transcript", text="a", is_final=True) == [Final("a"), UtteranceEnded()]
    assert told(listen("ink-2"), "transcript", text="a", is_final=True) == [Final("a")]
    assert told(listen("ink-2"), "flush_done") == [UtteranceEnded()]
    assert told(listen("ink-2"), "done") == [UtteranceEnded()]


def test_utterance_that_is_finalised_ends_with_the_answer_to_it() -> None:
    dialect = listen("ink-whisper-2025-06-04")
    assert list(dialect.decode(Frame(Side.AGENT, Kind.TEXT, 0, b"finalize"))) == []
    assert told(dialect, "transcript", text="a", is_final=True) == [Final("a")]
    assert told(dialect, "flush_done") == [UtteranceEnded()]
    assert told(dialect, "transcript", text="b", is_final=True) == [Final("b"), UtteranceEnded()]
    assert told(dialect, "flush_done") == [UtteranceEnded()]  # one that nobody asked for takes nothing back
    assert told(dialect, "transcript", text="c", is_final=True) == [Final("c"), UtteranceEnded()]


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        ("transcript", {"text": "a", "is_final": False}, [Interim("a")]),
        ("transcript", {"text": "", "is_final": True}, []),
        ("error", {"error_code": "quota_exceeded"}, [Failed("quota_exceeded", "*")]),
        ("error", {"message": "a text"}, [Failed("provider_error", "*", "a text")]),
        ("error", {"error": "a" * 501}, [Failed("provider_error", "*", "a" * 500)]),
        ("news", {}, []),
    ],
)
def test_messages_of_listening(kind: str, message: dict[str, object], expected: list[Event]) -> None:
    assert told(listen("ink-whisper"), kind, **message) == expected


def test_first_text_of_a_context_asks_and_the_rest_belongs_to_it() -> None:
    dialect = CartesiaSpeech(RequestHead("GET", "/tts/websocket"))
    assert dialect.asks(sent(context_id="a", transcript=" ")) == Ask("a", None, begins=False)
    assert dialect.asks(sent(context_id="a", cancel=True)) == Ask("a", None, begins=False)
    assert dialect.asks(sent(context_id="a", transcript="Hi", model_id="m")) == Ask("a", "m", begins=True)
    dialect.decode(sent(context_id="a", transcript="Hi", model_id="m"))
    assert dialect.asks(sent(context_id="a", transcript=" ", model_id="m")) == Ask("a", "m", begins=False)
    assert dialect.asks(Frame(Side.PROVIDER, Kind.TEXT, 0, b'{"context_id":"b","transcript":"x"}')) is None
    assert dialect.asks(Frame(Side.AGENT, Kind.TEXT, 0, b"no json")) is None


def test_refusal_in_an_open_socket_is_an_error_of_its_context() -> None:
    endpoint = BY_ID["cartesia"].endpoint("GET", "/tts/websocket", is_socket=True)
    assert endpoint is not None
    assert endpoint.refusal_frame is not None
    frame = endpoint.refusal_frame("ctx", "budget_exceeded", "The budget is spent.")
    told_of = (frame["type"], frame["done"], frame["status_code"], frame["error_code"], frame["context_id"])
    assert told_of == ("error", True, 402, "budget_exceeded", "ctx")


@pytest.mark.parametrize(
    ("version", "is_text"), [("2024-06-10", True), ("2025-04-16", True), ("2026-03-01", False), ("", False)]
)
def test_refusals_have_the_form_of_the_version_that_is_asked_for(version: str, is_text: bool) -> None:
    headers = {"cartesia-version": version} if version else {}
    wording = BY_ID["cartesia"].errors.encode(402, "budget_exceeded", "The budget is spent.", headers)
    assert wording.content_type.startswith("text/plain" if is_text else "application/json")
    assert (wording.body == b"Budget exceeded: The budget is spent.") is is_text


def test_events_with_an_odd_one_between_lose_nothing() -> None:
    dialect = CartesiaSpeechRequest(RequestHead("POST", "/tts/sse"))
    dialect.answered(ResponseHead(200, "text/event-stream"))
    body = b'data: {"type":"chunk","data":"AAAA"}\n\ndata: {"type":5}\n\ndata: {"type":"done","done":true}\n\n'
    assert list(dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, body))) == [AudioOut(None, audio="AAAA"), Finished()]


@pytest.mark.parametrize(
    ("method", "path", "model", "expected"),
    [
        ("GET", "/stt/websocket", "ink-whisper-2025-06-04", "ink-whisper"),
        ("GET", "/stt/websocket", "ink-2", "ink-2"),
        ("POST", "/stt", "ink-whisper", "ink-whisper-batch"),
        ("POST", "/audio/transcriptions", "ink-whisper-2025-06-04", "ink-whisper-batch"),
    ],
)
def test_whisper_is_not_priced_as_ink_2(method: str, path: str, model: str, expected: str) -> None:
    endpoint = BY_ID["cartesia"].endpoint(method, path, is_socket=method == "GET")
    assert endpoint is not None
    assert endpoint.catalogue_model is not None
    assert endpoint.catalogue_model(model, RequestHead(method, path)) == expected

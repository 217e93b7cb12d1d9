"""OpenAI realtime beyond the captures."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from voicegw_sidecar.dialects.base import Ask
from voicegw_sidecar.dialects.openai_realtime import ITEM_LIMIT, OpenAIRealtime
from voicegw_sidecar.events import (
    AudioOut,
    Began,
    Event,
    Failed,
    Final,
    Finished,
    Heard,
    Interim,
    SpeechEnded,
    TextOut,
)
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.frames import Frame, Kind, RequestHead, Side
from voicegw_sidecar.wire.pcm import PcmFormat

TRANSCRIPTION = "conversation.item.input_audio_transcription."


def frame(side: Side, **message: object) -> Frame:
    return Frame(side, Kind.TEXT, 0, msgspec.json.encode(message))


def realtime(**query: str) -> OpenAIRealtime:
    return OpenAIRealtime(RequestHead("GET", "/v1/realtime", tuple((query or {"model": "m"}).items())))


def told(dialect: OpenAIRealtime, kind: str, **message: object) -> list[Event]:
    return list(dialect.decode(frame(Side.PROVIDER, type=kind, **message)))


def asked(dialect: OpenAIRealtime, kind: str, **message: object) -> list[Event]:
    return list(dialect.decode(frame(Side.AGENT, type=kind, **message)))


def update(dialect: OpenAIRealtime, **heard: object) -> None:
    asked(dialect, "session.update", session={"type": "realtime", "audio": {"input": heard}})


def stopped(dialect: OpenAIRealtime) -> None:
    told(dialect, "input_audio_buffer.speech_stopped", item_id="i", audio_end_ms=2000)


@pytest.mark.parametrize(
    ("detection", "position_s"),
    [
        ({"type": "server_vad", "silence_duration_ms": 300}, 1.7),
        ({"type": "server_vad"}, 1.5),
        ({"type": "server_vad", "silence_duration_ms": 5000}, 0.0),
        ({"type": "semantic_vad"}, None),
    ],
)
def test_end_of_speech_is_before_the_silence_that_showed_it(detection: object, position_s: float | None) -> None:
    dialect = realtime()
    update(dialect, turn_detection=detection)
    stopped(dialect)
    assert told(dialect, "input_audio_buffer.committed", item_id="i") == []
    assert told(dialect, "response.created", response={"id": "r"}) == [
        Began(Modality.S2S, "r", "m"), SpeechEnded(position_s, "r")]  # fmt: skip
    assert told(dialect, "response.created", response={"id": "s"}) == [Began(Modality.S2S, "s", "m")]


@pytest.mark.parametrize(
    ("detection", "asks"),
    [
        ({"type": "server_vad"}, True),
        ({"type": "semantic_vad", "create_response": True}, True),
        ({"type": "server_vad", "create_response": False}, False),
        (None, False),
    ],
)
def test_end_of_speech_asks_for_an_answer_where_the_session_answers_by_itself(detection: object, asks: bool) -> None:
    dialect = realtime()
    update(dialect, turn_detection=detection)
    committed = frame(Side.PROVIDER, type="input_audio_buffer.committed", item_id="i")
    assert dialect.asks(committed) is None  # nobody's speech ended: the agent committed it
    stopped(dialect)
    assert dialect.asks(committed) == (Ask("", "m", begins=True) if asks else None)


def test_create_asks_and_a_transcription_session_never_does() -> None:
    create = frame(Side.AGENT, type="response.create")
    assert realtime().asks(create) == Ask("", "m", begins=True)
    assert realtime(intent="transcription").asks(create) is None
    assert (
        realtime().asks(frame(Side.AGENT, type="session.update", session={"instructions": "response.create"})) is None
    )
    assert realtime().asks(Frame(Side.AGENT, Kind.TEXT, 0, b'"response.create"')) is None


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        ({}, PcmFormat("pcm_s16le", 24_000)),
        ({"audio": {"input": {"format": {"type": "audio/pcmu"}}}}, PcmFormat("mulaw", 8000)),
        ({"audio": {"input": {"format": {"type": "audio/pcma"}}}}, PcmFormat("alaw", 8000)),
        ({"input_audio_format": "g711_ulaw"}, PcmFormat("mulaw", 8000)),
        ({"input_audio_format": "pcm16"}, PcmFormat("pcm_s16le", 24_000)),
        ({"input_audio_format": "opus"}, None),
    ],
)
def test_sound_is_heard_in_the_sessions_format(session: dict[str, object], expected: PcmFormat | None) -> None:
    dialect = realtime()
    asked(dialect, "session.update", session=session)
    audio = base64.b64encode(b"abcd").decode()
    assert asked(dialect, "input_audio_buffer.append", audio=audio) == [Heard(b"abcd", expected)]
    assert asked(dialect, "input_audio_buffer.append", audio="a") == []


def test_names_of_the_beta_are_read() -> None:
    dialect = realtime()
    session = {"input_audio_transcription": {"model": "whisper-1"}, "output_audio_format": "g711_alaw"}
    asked(dialect, "session.update", session={**session, "turn_detection": None})
    assert told(dialect, "input_audio_buffer.committed", item_id="i") == [
        Began(Modality.STT, "i", "whisper-1"), SpeechEnded(None, "i")]  # fmt: skip
    told(dialect, "response.created", response={"id": "r"})
    audio = base64.b64encode(bytes(800)).decode()
    assert told(dialect, "response.audio.delta", response_id="r", delta=audio) == [AudioOut(0.1, "r")]


def test_call_is_told_from_what_is_said() -> None:
    dialect = realtime()
    told(dialect, "response.created", response={"id": "r"})
    assert told(dialect, "response.output_text.delta", response_id="r", delta="a") == [TextOut("a", "r")]
    call = told(dialect, "response.function_call_arguments.delta", response_id="r", delta="{}")
    assert call == [TextOut("{}", "r", is_call=True)]


def test_transcript_that_nobody_announced_is_an_exchange_all_the_same() -> None:
    dialect = realtime(intent="transcription")
    assert told(dialect, f"{TRANSCRIPTION}delta", item_id="i", delta="He") == [
        Began(Modality.STT, "i"), Interim("He", "i")]  # fmt: skip
    assert told(dialect, "input_audio_buffer.committed", item_id="i") == [SpeechEnded(None, "i")]
    assert told(dialect, f"{TRANSCRIPTION}completed", item_id="i", transcript="Hello") == [
        Final("Hello", key="i"), Finished("i")]  # fmt: skip


def test_silence_that_was_committed_has_no_final() -> None:
    dialect = realtime(intent="transcription")
    events = told(dialect, f"{TRANSCRIPTION}completed", item_id="i", transcript="")
    assert events == [Began(Modality.STT, "i"), Finished("i")]


@pytest.mark.parametrize(("details", "code"), [({"error": {"code": "x"}}, "x"), (None, "provider_error")])
def test_failed_response_names_a_code(details: Any, code: str) -> None:
    dialect = realtime()
    told(dialect, "response.created", response={"id": "r"})
    response = {"id": "r", "status": "failed", "status_details": details}
    assert told(dialect, "response.done", response=response) == [Failed(code, "r")]
    assert told(dialect, "response.done", response=response) == []


def test_what_is_over_the_limit_is_not_followed() -> None:
    dialect = realtime(intent="transcription")
    for number in range(ITEM_LIMIT):
        assert told(dialect, "input_audio_buffer.speech_started", item_id=str(number))
        assert told(dialect, "response.created", response={"id": str(number)})
        told(dialect, "input_audio_buffer.speech_stopped", item_id=f"x{number}", audio_end_ms=1)
    assert told(dialect, "input_audio_buffer.speech_started", item_id="more") == []
    assert told(dialect, "response.created", response={"id": "more"}) == []
    told(dialect, "input_audio_buffer.speech_stopped", item_id="more", audio_end_ms=1)
    assert len(dialect._ended_at) == ITEM_LIMIT


def test_text_of_an_item_grows_and_its_language_comes_with_its_end() -> None:
    dialect = realtime(intent="transcription")
    told(dialect, "input_audio_buffer.speech_started", item_id="i")
    told(dialect, "input_audio_buffer.speech_started", item_id="j")
    assert told(dialect, f"{TRANSCRIPTION}delta", item_id="i", delta="Où ") == [Interim("Où ", "i")]
    assert told(dialect, f"{TRANSCRIPTION}delta", item_id="j", delta="x") == [Interim("x", "j")]
    assert told(dialect, f"{TRANSCRIPTION}delta", item_id="i", delta="ça") == [Interim("Où ça", "i")]
    ended = told(dialect, f"{TRANSCRIPTION}completed", item_id="i", transcript="Où ça ?", languages=[{"code": "fr"}])
    assert ended == [Final("Où ça ?", key="i", language="fr"), Finished("i")]


def test_an_error_is_told_where_nothing_but_a_transcript_is_wanted() -> None:
    error = {"code": "invalid_value", "message": "Invalid value: 'xx'."}
    told_of = [Failed("invalid_value", "", "Invalid value: 'xx'.")]
    assert told(realtime(intent="transcription"), "error", error=error) == told_of
    assert told(realtime(), "error", error=error) == []
    empty = {"code": "input_audio_buffer_commit_empty", "message": "buffer too small"}
    assert told(realtime(intent="transcription"), "error", error=empty) == []
    item = told(realtime(), f"{TRANSCRIPTION}failed", item_id="i", error={"code": "x", "message": "m" * 501})
    assert item == [Failed("x", "i", "m" * 500)]

"""ElevenLabs' listen driver: addresses, chunks, and streams against the simulated provider."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from tests.drivers.live import listen, speech
from tests.simulator.conftest import UTTERANCES, quick
from tests.simulator.sounds import spoken
from voicegw_sidecar.asks import ListenAsk
from voicegw_sidecar.drivers.base import Messages
from voicegw_sidecar.drivers.elevenlabs_listen import ElevenLabsListenDriver, listening
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.events import Final, SpeechEnded
from voicegw_sidecar.simulator import Simulator
from voicegw_sidecar.terms import Status

USUAL = {"model_id": "scribe_v2_realtime", "commit_strategy": "vad", "vad_silence_threshold_secs": "0.5"}


def ask(language: str | None = None, rate_hz: int = 16_000, **more: object) -> ListenAsk:
    return ListenAsk("scribe_v2_realtime", rate_hz, language, **more)  # type: ignore[arg-type]


def chunks(messages: Messages) -> list[dict[str, Any]]:
    return [msgspec.json.decode(message.data) for message in messages]


@pytest.mark.parametrize(
    ("asked", "differs"),
    [
        (ask(), {"audio_format": "pcm_16000"}),
        (ask("multi", 12_000), {"audio_format": "pcm_16000"}),
        (ask("pt-BR", 48_000), {"audio_format": "pcm_48000", "language_code": "pt"}),
        (ask(options={"vad_silence_threshold_secs": 1.5, "no_verbatim": True}),
         {"audio_format": "pcm_16000", "vad_silence_threshold_secs": "1.5", "no_verbatim": "true"}),
        (ask(options={"commit_strategy": "manual"}),
         {"audio_format": "pcm_16000", "commit_strategy": "manual", "vad_silence_threshold_secs": ""}),
        (ask(keyterms=("Ada", "a term that is too long")), {"audio_format": "pcm_16000", "keyterms": "Ada"}),
    ],
)  # fmt: skip
def test_the_address(asked: ListenAsk, differs: dict[str, str]) -> None:
    driver = ElevenLabsListenDriver(asked)
    assert driver.address.path == "/v1/speech-to-text/realtime"
    assert dict(driver.address.query) == {name: value for name, value in (USUAL | differs).items() if value}
    assert differs["audio_format"] == f"pcm_{driver.rate_hz}"


def test_no_more_terms_are_sent_than_are_taken() -> None:
    query = ElevenLabsListenDriver(ask(keyterms=tuple(str(number) for number in range(60)))).address.query
    assert sum(name == "keyterms" for name, _ in query) == 50


def test_what_is_no_language_is_refused_and_so_is_another_sound() -> None:
    with pytest.raises(BadRequest, match=r"^language: found 'no language'"):
        ElevenLabsListenDriver(ask("no language"))
    with pytest.raises(BadRequest, match=r"^options: found 'audio_format'"):
        ElevenLabsListenDriver(ask(options={"audio_format": "ulaw_8000"}))


@pytest.mark.parametrize(
    ("model", "listens"), [("scribe_v2_realtime", True), ("scribe_v1", False), ("scribe_v2", False)]
)
def test_some_models_transcribe_recordings_only(model: str, listens: bool) -> None:
    assert (listening(model) is not None) is listens


def test_chunks_are_base64_of_50_ms_to_a_second_and_no_commit_is_too_short() -> None:
    driver = ElevenLabsListenDriver(ask())
    assert driver.audio(b"ab") == ()
    sent = chunks(driver.audio(bytes(40_000)) + driver.audio(b"cd") + driver.finalize() + driver.finalize())
    audio = [base64.b64decode(chunk["audio_base_64"]) for chunk in sent]
    assert [len(piece) for piece in audio] == [32_000, 8002, 1600, 9600, 9600]
    assert audio[0].startswith(b"ab")
    assert audio[2].startswith(b"cd")
    assert [chunk["commit"] for chunk in sent] == [False, False, False, True, True]
    assert {(chunk["message_type"], chunk["sample_rate"]) for chunk in sent} == {("input_audio_chunk", 16_000)}
    [keepalive] = chunks(driver.keepalive())
    assert (keepalive["audio_base_64"], keepalive["commit"], driver.keepalive_s) == ("", False, 10.0)


@pytest.mark.parametrize(
    ("options", "message", "is_over"),
    [
        ({}, {"message_type": "committed_transcript", "text": ""}, True),
        ({}, {"message_type": "partial_transcript", "text": "a"}, False),
        ({}, {"message_type": "commit_throttled", "error": "Too fast."}, True),
        ({"include_timestamps": True}, {"message_type": "committed_transcript", "text": "a"}, False),
        ({"include_timestamps": True}, {"message_type": "committed_transcript_with_timestamps", "text": "a"}, True),
        ({}, [], False),
    ],
)
def test_the_answer_to_the_last_commit_is_the_end(options: dict[str, object], message: object, is_over: bool) -> None:
    driver = ElevenLabsListenDriver(ask(options=options))
    data = msgspec.json.encode(message)
    assert not driver.is_over(data)
    driver.finish()
    assert driver.is_over(data) is is_over


async def test_scribe_commits_by_itself_and_where_it_is_told_to() -> None:
    async with Simulator(quick()) as simulator:
        audio = [spoken("Where is my order", after_s=0.8), "wait", speech(16_000), "finalize"]
        heard = await listen(simulator, "elevenlabs", ElevenLabsListenDriver(ask("en")), audio)
    assert (heard.finals, heard.is_over) == (list(UTTERANCES), True)
    assert heard.interims
    assert [row.status for row in heard.exchanges][:2] == [Status.OK, Status.OK]
    [socket] = [entry for entry in simulator.ledger.entries("elevenlabs.scribe") if not entry.key]
    assert socket.model == "scribe_v2_realtime"
    assert socket.audio_in_s == pytest.approx(heard.audio_s)


async def test_what_was_said_last_is_heard_and_a_wish_for_times_is_met() -> None:
    async with Simulator(quick()) as simulator:
        driver = ElevenLabsListenDriver(ask(options={"include_timestamps": True}))
        heard = await listen(simulator, "elevenlabs", driver, [speech(16_000)])
    assert (heard.finals, heard.is_over) == ([UTTERANCES[0]], True)
    assert [type(event) for event in heard.events if isinstance(event, Final | SpeechEnded)] == [Final, SpeechEnded]

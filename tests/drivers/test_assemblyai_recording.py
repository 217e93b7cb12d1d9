"""Recordings to AssemblyAI: the three requests, and a whole recording against the simulated provider."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.drivers.live import speech, transcribe
from tests.simulator.conftest import UTTERANCES, quick
from voicegw_sidecar.asks import RecordingAsk
from voicegw_sidecar.drivers.assemblyai_recording import AssemblyAIRecordingDriver, recording
from voicegw_sidecar.drivers.base import ProviderRequest, Transcript
from voicegw_sidecar.drivers.segments import wav_file
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.events import Word
from voicegw_sidecar.simulator import Listening, Simulator

AUDIO = wav_file(speech(16_000), 16_000)


def ask(language: str | None = None) -> RecordingAsk:
    return RecordingAsk("universal-2", AUDIO, "a.wav", "audio/wav", language)


def answered(driver: AssemblyAIRecordingDriver, **answer: Any) -> Transcript | ProviderRequest | None:
    return driver.answered(msgspec.json.encode(answer))


@pytest.mark.parametrize(
    ("language", "wish"),
    [
        (None, {"language_detection": True}),
        ("multi", {"language_detection": True}),
        ("pt-BR", {"language_code": "pt"}),
    ],
)
def test_an_upload_is_handed_in(language: str | None, wish: dict[str, object]) -> None:
    driver = AssemblyAIRecordingDriver(ask(language))
    headers = (("Content-Type", "application/octet-stream"),)
    assert driver.request() == ProviderRequest("POST", "/v2/upload", (), headers, AUDIO)
    handed_in = answered(driver, upload_url="https://cdn/1")
    assert isinstance(handed_in, ProviderRequest)
    assert (handed_in.method, handed_in.path) == ("POST", "/v2/transcript")
    job = {"audio_url": "https://cdn/1", "speech_models": ["universal-2"]}
    assert msgspec.json.decode(handed_in.body) == job | wish


def test_a_job_is_asked_for_until_it_is_done() -> None:
    driver = AssemblyAIRecordingDriver(ask())
    question = ProviderRequest("GET", "/v2/transcript/a-1", (), (), b"")
    assert answered(driver, id="a-1", status="queued") == question
    assert answered(driver, id="a-1", status="processing") == question
    words = [{"text": "a", "start": 250, "end": 500, "confidence": 0.5}]
    done = answered(driver, id="a-1", status="completed", text="a", language_code="en", audio_duration=2, words=words)
    assert done == Transcript("a", "en", 2, (Word("a", 0.25, 0.5, 0.5),))


@pytest.mark.parametrize(
    "answer",
    [
        {"id": "a-1", "status": "error", "error": "Audio duration is too short."},
        {"id": "../../v1/keys", "status": "queued"},
        {"status": "queued"},
        {"error": "x"},
    ],
)
def test_what_will_not_be_done_is_not_asked_for(answer: dict[str, Any]) -> None:
    assert answered(AssemblyAIRecordingDriver(ask()), **answer) is None


def test_live_models_transcribe_no_recordings_and_no_language_is_refused() -> None:
    assert [recording(model) for model in ("universal-streaming-english", "u3-rt-pro", "whisper-rt")] == [None] * 3
    assert recording("universal-3-5-pro") is AssemblyAIRecordingDriver
    with pytest.raises(BadRequest, match=r"^language: found 'en_us'"):
        AssemblyAIRecordingDriver(ask("en_us"))


async def test_a_recording_is_transcribed() -> None:
    async with Simulator(quick(transcription=Listening(final_ms=60.0, utterances=UTTERANCES))) as simulator:
        found, sent = await transcribe(simulator, "assemblyai", AssemblyAIRecordingDriver(ask("en")))
    assert isinstance(found, Transcript)
    assert (found.text, found.language, found.duration_s) == (UTTERANCES[0], "en_us", 1.0)
    assert " ".join(word.text for word in found.words) == UTTERANCES[0]
    assert found.words[-1].end_s == 0.8
    assert [request.method for request in sent[:3]] == ["POST", "POST", "GET"]
    assert len(sent) > 3  # it was asked for again while it was in the queue

"""Recordings to ElevenLabs: the form, answers, and a whole one against the simulated provider."""

from __future__ import annotations

import math

import msgspec
import pytest

from tests.drivers.live import speech, transcribe
from tests.simulator.conftest import UTTERANCES, quick
from voicegw_sidecar.asks import RecordingAsk
from voicegw_sidecar.drivers.base import Transcript
from voicegw_sidecar.drivers.elevenlabs_recording import ElevenLabsRecordingDriver, recording
from voicegw_sidecar.drivers.segments import wav_file
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.events import Word
from voicegw_sidecar.simulator import Simulator
from voicegw_sidecar.wire import multipart

AUDIO = wav_file(speech(16_000), 16_000)
SILENT_SOUNDS = ("tag_audio_events", b"false")


def ask(language: str | None = None, **more: object) -> RecordingAsk:
    return RecordingAsk("scribe_v1", AUDIO, "a.wav", "audio/wav", language, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (ask(), [("timestamps_granularity", b"none")]),
        (ask("pt-BR", temperature=0.5, prompt="Ships"),
         [("timestamps_granularity", b"none"), ("language_code", b"pt"), ("temperature", b"0.5")]),
        (ask("multi", wants_words=True), [("timestamps_granularity", b"word")]),
    ],
)  # fmt: skip
def test_the_form(asked: RecordingAsk, expected: list[tuple[str, bytes]]) -> None:
    request = ElevenLabsRecordingDriver(asked).request()
    assert (request.method, request.path) == ("POST", "/v1/speech-to-text")
    mark = multipart.boundary(dict(request.headers)["Content-Type"])
    assert mark is not None
    *plain, file = multipart.parts(request.body, mark)
    assert [(part.name, part.data) for part in plain] == [("model_id", b"scribe_v1"), SILENT_SOUNDS, *expected]
    assert file.data == AUDIO


def test_live_models_transcribe_no_recordings_and_no_language_is_refused() -> None:
    assert recording("scribe_v2_realtime") is None
    assert recording("scribe_v2") is ElevenLabsRecordingDriver
    with pytest.raises(BadRequest, match=r"^language: found 'english'"):
        ElevenLabsRecordingDriver(ask("english"))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"detail": {"message": "x"}}, None),
        (
            {"text": "a (laughs)", "language_code": "eng", "audio_duration_secs": 1.5, "words": [
                {"text": "a", "start": 0.0, "end": 0.5, "type": "word", "logprob": -0.5},
                {"text": " ", "start": 0.5, "end": 0.5, "type": "spacing", "logprob": 0.0},
                {"text": "(laughs)", "start": 0.5, "end": 1.0, "type": "audio_event", "logprob": 0.0}]},
            Transcript("a (laughs)", "eng", 1.5, (Word("a", 0.0, 0.5, math.exp(-0.5)),)),
        ),
    ],
)  # fmt: skip
def test_answers(answer: object, expected: Transcript | None) -> None:
    assert ElevenLabsRecordingDriver(ask()).answered(msgspec.json.encode(answer)) == expected


async def test_a_recording_is_transcribed_with_its_words() -> None:
    async with Simulator(quick()) as simulator:
        found, _ = await transcribe(simulator, "elevenlabs", ElevenLabsRecordingDriver(ask(wants_words=True)))
    assert found is not None
    assert (found.text, found.language, found.duration_s) == (UTTERANCES[0], "eng", 0.8)
    assert " ".join(word.text for word in found.words) == UTTERANCES[0]

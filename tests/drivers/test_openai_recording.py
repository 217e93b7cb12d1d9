"""Recordings by OpenAI's protocol: forms, answers, and a whole one against each simulated server that speaks it."""

from __future__ import annotations

import msgspec
import pytest

from tests.drivers.live import speech, transcribe
from tests.simulator.conftest import UTTERANCES, quick
from voicegw_sidecar.asks import RecordingAsk
from voicegw_sidecar.drivers.base import Segment, Transcript
from voicegw_sidecar.drivers.openai_recording import OpenAIRecordingDriver, recording, transcript
from voicegw_sidecar.drivers.segments import wav_file
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.events import Word
from voicegw_sidecar.simulator import Simulator
from voicegw_sidecar.wire import multipart

AUDIO = wav_file(speech(16_000), 16_000)


def ask(model: str = "whisper-1", **more: object) -> RecordingAsk:
    return RecordingAsk(model, AUDIO, "a.wav", "audio/wav", **more)  # type: ignore[arg-type]


def fields(asked: RecordingAsk) -> list[tuple[str, bytes]]:
    request = OpenAIRecordingDriver("/v1", asked).request()
    assert (request.method, request.path, request.query) == ("POST", "/v1/audio/transcriptions", ())
    [(name, content_type)] = request.headers
    assert name == "Content-Type"
    mark = multipart.boundary(content_type)
    assert mark is not None
    *plain, file = multipart.parts(request.body, mark)
    assert (file.name, file.is_file, file.data) == ("file", True, AUDIO)
    return [(part.name, part.data) for part in plain]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (ask(), [("model", b"whisper-1"), ("response_format", b"json")]),
        (
            ask(wants_words=True, wants_segments=True, language="pt-BR"),
            [("model", b"whisper-1"), ("response_format", b"verbose_json"), ("timestamp_granularities[]", b"word"),
             ("timestamp_granularities[]", b"segment"), ("language", b"pt")],
        ),
        (
            ask("large-v3", wants_segments=True, prompt="Ships é", temperature=0.25, language="multi"),
            [("model", b"large-v3"), ("response_format", b"verbose_json"), ("timestamp_granularities[]", b"segment"),
             ("prompt", "Ships é".encode()), ("temperature", b"0.25")],
        ),
        (ask("gpt-4o-transcribe", wants_words=True), [("model", b"gpt-4o-transcribe"), ("response_format", b"json")]),
    ],
)  # fmt: skip
def test_the_form(asked: RecordingAsk, expected: list[tuple[str, bytes]]) -> None:
    assert fields(asked) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"text": "a"}, Transcript("a")),
        ({"text": "", "usage": {"type": "duration", "seconds": 1}}, Transcript("")),
        ({"text": "a", "languages": [{"code": "fr"}]}, Transcript("a", "fr")),
        (
            {"text": "a b", "language": "english", "duration": "1.50",
             "words": [{"word": "a", "start": 0.0, "end": 0.5}, {"word": "b", "start": 0.5, "end": 1.0}],
             "segments": [{"id": 0, "text": " a b", "start": 0.0, "end": 1.5, "tokens": [1]}]},
            Transcript("a b", "english", 1.5, (Word("a", 0.0, 0.5), Word("b", 0.5, 1.0)), (Segment(" a b", 0.0, 1.5),)),
        ),
        ({"text": "a", "duration": "long"}, Transcript("a")),
        ({"error": {"message": "x"}}, None),
        ([], None),
    ],
)  # fmt: skip
def test_answers(answer: object, expected: Transcript | None) -> None:
    assert transcript(msgspec.json.encode(answer)) == expected
    assert transcript(b"plain text") is None


def test_live_models_transcribe_no_recordings_and_no_language_is_refused() -> None:
    assert recording("/v1")("gpt-live-transcribe") is None
    assert recording("/v1")("gpt-realtime-whisper") is None
    factory = recording("/v1")("whisper-1")
    assert factory is not None
    with pytest.raises(BadRequest, match=r"^language: found 'en_US'"):
        factory(ask(language="en_US"))


@pytest.mark.parametrize(
    ("provider", "prefix", "model"),
    [("openai", "/v1", "whisper-1"), ("groq", "/openai/v1", "whisper-large-v3-turbo"), ("whisper", "/v1", "large-v3")],
)
async def test_a_recording_is_transcribed_with_its_times(provider: str, prefix: str, model: str) -> None:
    async with Simulator(quick()) as simulator:
        factory = recording(prefix)(model)
        assert factory is not None
        found, _ = await transcribe(simulator, provider, factory(ask(model, wants_words=True, wants_segments=True)))
        [entry] = simulator.ledger.entries(f"{provider}.transcriptions")
    assert found is not None
    assert (found.text, found.language, found.duration_s) == (UTTERANCES[0], "english", 0.8)
    assert " ".join(word.text for word in found.words) == UTTERANCES[0]
    assert found.words[-1].end_s == 0.8
    assert found.segments == (Segment(UTTERANCES[0], 0.0, 0.8),)
    assert (entry.model, entry.audio_in_s) == (model, 0.8)


async def test_openais_newer_models_give_the_text() -> None:
    async with Simulator(quick()) as simulator:
        driver = OpenAIRecordingDriver("/v1", ask("gpt-4o-mini-transcribe", wants_words=True))
        found, _ = await transcribe(simulator, "openai", driver)
    assert found == Transcript(UTTERANCES[0])

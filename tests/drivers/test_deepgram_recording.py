"""Recordings to Deepgram: the query, answers, and a whole one against the simulated provider."""

from __future__ import annotations

import msgspec
import pytest

from tests.drivers.live import speech, transcribe
from tests.simulator.conftest import UTTERANCES, quick
from voicegw_sidecar.asks import RecordingAsk
from voicegw_sidecar.drivers.base import Segment, Transcript
from voicegw_sidecar.drivers.deepgram_recording import DeepgramRecordingDriver, recording
from voicegw_sidecar.drivers.segments import wav_file
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.events import Word
from voicegw_sidecar.simulator import Simulator

AUDIO = wav_file(speech(16_000), 16_000)


def ask(language: str | None = None, **more: object) -> RecordingAsk:
    return RecordingAsk("nova-3", AUDIO, "a.mp3", "audio/mpeg", language, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "differs"),
    [
        (ask(), {"detect_language": "true"}),
        (ask("en-US"), {"language": "en-US"}),
        (ask("multi", wants_words=True), {"language": "multi"}),
        (ask("fr", wants_segments=True), {"language": "fr", "utterances": "true"}),
    ],
)
def test_the_query(asked: RecordingAsk, differs: dict[str, str]) -> None:
    request = DeepgramRecordingDriver(asked).request()
    assert (request.method, request.path, request.body) == ("POST", "/v1/listen", AUDIO)
    assert dict(request.query) == {"model": "nova-3", "punctuate": "true", "smart_format": "true"} | differs
    assert request.headers == (("Content-Type", "audio/mpeg"),)


def test_flux_transcribes_no_recordings_and_no_language_is_refused() -> None:
    assert recording("flux-general-en") is None
    assert recording("nova-2") is DeepgramRecordingDriver
    with pytest.raises(BadRequest, match=r"^language: found 'english'"):
        DeepgramRecordingDriver(ask("english"))


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"request_id": "x"}, None),
        ({"results": {"channels": []}}, None),
        ({"results": {"channels": [{"alternatives": []}]}}, Transcript("")),
        (
            {"results": {"channels": [{"alternatives": [{"transcript": "Où", "languages": ["fr"], "words": [
                {"word": "où", "punctuated_word": "Où", "start": 0.0, "end": 0.5, "confidence": 0.5}]}]}]}},
            Transcript("Où", "fr", None, (Word("Où", 0.0, 0.5, 0.5),)),
        ),
    ],
)  # fmt: skip
def test_answers(answer: object, expected: Transcript | None) -> None:
    assert DeepgramRecordingDriver(ask()).answered(msgspec.json.encode(answer)) == expected


async def test_a_recording_is_transcribed_with_its_times() -> None:
    async with Simulator(quick()) as simulator:
        found, _ = await transcribe(simulator, "deepgram", DeepgramRecordingDriver(ask(wants_segments=True)))
    assert found is not None
    assert (found.text, found.language, found.duration_s) == (UTTERANCES[0], "en", 0.8)
    assert " ".join(word.text for word in found.words) == UTTERANCES[0]
    assert found.segments == (Segment(UTTERANCES[0], 0.0, 0.8),)

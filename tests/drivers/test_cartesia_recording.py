"""Recordings to Cartesia: the form, refusals, and a whole one against the simulated provider."""

from __future__ import annotations

import pytest

from tests.drivers.live import speech, transcribe
from tests.simulator.conftest import UTTERANCES, quick
from voicegw_sidecar.asks import RecordingAsk
from voicegw_sidecar.drivers.cartesia_recording import CartesiaRecordingDriver, recording
from voicegw_sidecar.drivers.segments import wav_file
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.simulator import Simulator
from voicegw_sidecar.wire import multipart

AUDIO = wav_file(speech(16_000), 16_000)


def ask(language: str | None = None, **more: object) -> RecordingAsk:
    return RecordingAsk("ink-whisper", AUDIO, "a.wav", "audio/wav", language, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (ask(), [("model", b"ink-whisper")]),
        (ask("pt-BR", prompt="Ships", temperature=0.5), [("model", b"ink-whisper"), ("language", b"pt")]),
        (ask(wants_words=True), [("model", b"ink-whisper"), ("timestamp_granularities[]", b"word")]),
    ],
)
def test_the_form(asked: RecordingAsk, expected: list[tuple[str, bytes]]) -> None:
    request = CartesiaRecordingDriver(asked).request()
    assert (request.method, request.path, request.headers[0]) == ("POST", "/stt", ("Cartesia-Version", "2026-03-01"))
    mark = multipart.boundary(dict(request.headers)["Content-Type"])
    assert mark is not None
    *plain, file = multipart.parts(request.body, mark)
    assert [(part.name, part.data) for part in plain] == expected
    assert file.data == AUDIO


def test_ink_2_transcribes_no_recordings_and_several_languages_are_refused() -> None:
    assert recording("ink-2") is None
    assert recording("ink-whisper-2025-06-04") is CartesiaRecordingDriver
    with pytest.raises(BadRequest, match=r"^language: found 'multi', which ink-whisper does not know"):
        CartesiaRecordingDriver(ask("multi"))


async def test_a_recording_is_transcribed_with_its_words() -> None:
    async with Simulator(quick()) as simulator:
        found, sent = await transcribe(simulator, "cartesia", CartesiaRecordingDriver(ask("en", wants_words=True)))
    assert found is not None
    assert (found.text, found.language, found.duration_s, len(sent)) == (UTTERANCES[0], "en", 0.8, 1)
    assert " ".join(word.text for word in found.words) == UTTERANCES[0]

"""Requests for speech to Groq, and what the simulated one makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.drivers.voiced import S_PER_CHAR, asked, body_of, simulated
from voicegw_sidecar.asks import Container, Sound, SpeechAsk
from voicegw_sidecar.drivers.groq_speech import groq_speech, groq_speech_limit_chars
from voicegw_sidecar.drivers.pieces import pieces
from voicegw_sidecar.drivers.table import drivers_of
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.wire.wav import wav_head

ENGLISH, ARABIC = "canopylabs/orpheus-v1-english", "canopylabs/orpheus-arabic-saudi"


def ask(text: str = "Hello there.", sound: Sound | None = None, model: str = ENGLISH, **more: Any) -> SpeechAsk:
    return SpeechAsk(model, more.pop("voice", ""), text, sound or Sound(Container.PCM), **more)


@pytest.mark.parametrize("container", [Container.PCM, Container.WAV, Container.MP3, Container.OPUS, Container.FLAC])
async def test_a_text_is_spoken_as_a_wav_file(container: Container) -> None:
    request = groq_speech(ask(sound=Sound(container, 16_000)))
    assert request.gives == Sound(Container.WAV)
    async with simulated() as simulator:
        answer = await asked(simulator, "groq", request)
    assert answer.content_type == "audio/wav"
    assert wav_head(answer.body) is not None
    assert answer.audio_s == pytest.approx(len("Hello there.") * S_PER_CHAR, abs=0.001)


@pytest.mark.parametrize(
    ("model", "voice", "expected"),
    [(ENGLISH, "", "hannah"), (ENGLISH, "onyx", "troy"), (ENGLISH, "autumn", "autumn"), (ARABIC, "", "lulwa"),
     (ARABIC, "echo", "fahad"), (ARABIC, "noura", "noura"), ("another/model", "", "hannah")],
)  # fmt: skip
def test_each_model_has_voices_of_its_own(model: str, voice: str, expected: str) -> None:
    request = groq_speech(ask(model=model, voice=voice, speed=1.0))
    assert request.request.path == "/openai/v1/audio/speech"
    assert body_of(request) == {"model": model, "input": "Hello there.", "voice": expected, "response_format": "wav"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text": "a" * 201}, "input: found 201 characters, expected 200 at most, which is what canopylabs/orpheus-v1"),
        ({"language": "es"}, "language: found 'es', which canopylabs/orpheus-v1-english does not know; expected en"),
        ({"language": "en", "model": ARABIC}, "language: found 'en', which canopylabs/orpheus-arabic-saudi does not"),
        ({"voice": "alloy2"}, "voice: found 'alloy2', which groq does not have"),
        ({"speed": 9.0}, "speed: found 9, expected 0.5 to 5"),
        ({"sound": Sound(Container.AAC)}, "response_format: found 'aac', which groq does not deliver"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        groq_speech(ask(**changes))
    assert caught.value.message.startswith(message)


def test_the_longest_text_is_taken() -> None:
    assert len(body_of(groq_speech(ask("a" * 200, language="en-US")))["input"]) == 200
    assert len(body_of(groq_speech(ask("a" * 500, model="another/model")))["input"]) == 500


@pytest.mark.parametrize(("model", "expected"), [(ENGLISH, 200), (ARABIC, 200), ("another/model", None)])
def test_how_long_a_text_may_be_is_told(model: str, expected: int | None) -> None:
    assert groq_speech_limit_chars(model) == expected
    assert drivers_of("groq", is_declared=False).speech_limit_chars(model) == expected


def test_a_longer_text_is_taken_in_pieces() -> None:
    words = "Here is what we can do for you, and it is quite a lot. " * 6
    found = [body_of(groq_speech(ask(piece)))["input"] for piece in pieces(words, groq_speech_limit_chars(ENGLISH))]
    assert len(found) == 2
    assert " ".join(found) == words.strip()


@pytest.mark.parametrize("provider", ["openai", "cartesia", "kokoro", "piper", "nobody"])
def test_the_others_tell_no_limit(provider: str) -> None:
    assert drivers_of(provider, is_declared=False).speech_limit_chars("a-model") is None

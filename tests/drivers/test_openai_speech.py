"""Requests for speech to OpenAI, to Kokoro and to servers like them, and what the simulated ones make of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.drivers.voiced import S_PER_CHAR, asked, body_of, simulated
from voicegw_sidecar.asks import Container, Sound, SpeechAsk
from voicegw_sidecar.drivers.base import SpeechFactory
from voicegw_sidecar.drivers.openai_speech import compatible_speech, kokoro_speech, openai_speech
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.wire.wav import wav_head

PCM, WAV = Sound(Container.PCM), Sound(Container.WAV)
MODELS: dict[SpeechFactory, str] = {
    openai_speech: "gpt-4o-mini-tts", kokoro_speech: "kokoro", compatible_speech: "kokoro",
}  # fmt: skip


def ask(sound: Sound, model: str = "gpt-4o-mini-tts", **more: Any) -> SpeechAsk:
    return SpeechAsk(model, more.pop("voice", ""), "Hello there.", sound, **more)


@pytest.mark.parametrize(
    ("make", "wanted", "gives", "content_type"),
    [
        (openai_speech, PCM, Sound(Container.PCM, 24_000), "audio/pcm"),
        (openai_speech, Sound(Container.PCM, 16_000), Sound(Container.PCM, 24_000), "audio/pcm"),
        (openai_speech, WAV, WAV, "audio/wav"),
        (openai_speech, Sound(Container.WAV, 8000), Sound(Container.PCM, 24_000), "audio/pcm"),
        (openai_speech, Sound(Container.MP3), Sound(Container.MP3), "audio/mpeg"),
        (openai_speech, Sound(Container.OPUS), Sound(Container.OPUS), "audio/opus"),
        (openai_speech, Sound(Container.FLAC), Sound(Container.FLAC), "audio/flac"),
        (openai_speech, Sound(Container.AAC), Sound(Container.AAC), "audio/aac"),
        (openai_speech, Sound(Container.MP3, 44_100), Sound(Container.PCM, 24_000), "audio/pcm"),
        (kokoro_speech, PCM, Sound(Container.PCM, 24_000), "audio/pcm"),
        (kokoro_speech, Sound(Container.OPUS), Sound(Container.OPUS), "audio/opus"),
        (compatible_speech, PCM, WAV, "audio/wav"),
        (compatible_speech, Sound(Container.PCM, 8000), WAV, "audio/wav"),
        (compatible_speech, Sound(Container.MP3), Sound(Container.MP3), "audio/mpeg"),
    ],
)
async def test_a_text_is_spoken_by_one_request(
    make: SpeechFactory, wanted: Sound, gives: Sound, content_type: str
) -> None:
    request = make(ask(wanted, MODELS[make]))
    assert request.gives == gives
    assert (request.request.method, request.request.path) == ("POST", "/v1/audio/speech")
    async with simulated() as simulator:
        answer = await asked(simulator, "openai" if make is openai_speech else "kokoro", request)
    assert answer.content_type == content_type
    audio_s = len("Hello there.") * S_PER_CHAR
    if gives.container is Container.PCM:
        assert len(answer.body) == pytest.approx(audio_s * 48_000, abs=8)
    if gives.container in (Container.PCM, Container.WAV):
        assert answer.audio_s == pytest.approx(audio_s, abs=0.001)
    if gives.container is Container.WAV:
        assert wav_head(answer.body) is not None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"voice": "coral"}),
        ({"voice": "nova", "speed": 1.0}, {"voice": "nova"}),
        ({"voice": "voice_1234", "speed": 4.0}, {"voice": {"id": "voice_1234"}, "speed": 4.0}),
        ({"instructions": "Whisper.", "language": "es"}, {"voice": "coral", "instructions": "Whisper."}),
        ({"instructions": "Whisper.", "model": "tts-1-hd"}, {"voice": "coral", "model": "tts-1-hd"}),
    ],
)
def test_openai_is_told_all_that_it_has_a_place_for(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    body = body_of(openai_speech(ask(PCM, **changes)))
    usual = {"model": "gpt-4o-mini-tts", "input": "Hello there.", "response_format": "pcm"}
    assert body == usual | expected


@pytest.mark.parametrize(
    ("voice", "language", "expected"),
    [
        ("", None, "af_heart"), ("", "en-GB", "af_heart"), ("onyx", None, "am_michael"), ("", "es-MX", "ef_dora"),
        ("onyx", "es", "em_alex"), ("onyx", "fr", "ff_siwis"), ("nova", "zh-CN", "zf_xiaobei"),
        ("", "multi", "af_heart"), ("bf_emma", "es", "bf_emma"), ("bf_emma", "de", "bf_emma"),
        ("af_bella+af_sky", None, "af_bella+af_sky"),
    ],
)  # fmt: skip
def test_kokoros_usual_voice_follows_the_language(voice: str, language: str | None, expected: str) -> None:
    assert body_of(kokoro_speech(ask(PCM, "kokoro", voice=voice, language=language)))["voice"] == expected


@pytest.mark.parametrize(("voice", "expected"), [("", "alloy"), ("Any Voice", "Any Voice"), ("onyx", "onyx")])
def test_a_compatible_server_is_told_any_voice(voice: str, expected: str) -> None:
    body = body_of(compatible_speech(ask(PCM, "some/model", voice=voice, instructions="Whisper.", speed=0.5)))
    assert body == {
        "model": "some/model", "input": "Hello there.", "voice": expected, "response_format": "wav", "speed": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("make", "changes", "message"),
    [
        (openai_speech, {"voice": "af_heart"}, "voice: found 'af_heart', which openai does not have; expected one of"),
        (openai_speech, {"speed": 5.0}, "speed: found 5, expected 0.25 to 4, which is what gpt-4o-mini-tts can do"),
        (kokoro_speech, {"voice": "hannah"}, "voice: found 'hannah', which kokoro does not have"),
        (kokoro_speech, {"language": "de-DE"}, "language: found 'de-DE', which kokoro does not know; expected en, es"),
        (compatible_speech, {"speed": 0.1}, "speed: found 0.1, expected 0.25 to 4"),
    ],
)
def test_what_cannot_be_is_refused(make: SpeechFactory, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        make(ask(PCM, **changes))
    assert caught.value.message.startswith(message)

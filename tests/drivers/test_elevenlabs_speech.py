"""ElevenLabs' text-to-speech drivers: what they say, and what the simulated provider makes of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.drivers.voiced import S_PER_CHAR, asked, body_of, simulated, voice
from voicegw_sidecar.asks import Container, Sound, SpeakAsk, SpeechAsk
from voicegw_sidecar.drivers.elevenlabs_speech import (
    ELEVENLABS_VOICES,
    ElevenLabsDialogueDriver,
    ElevenLabsSpeakDriver,
    elevenlabs_speak,
    elevenlabs_speech,
)
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.terms import Status

FLASH, V3 = "eleven_flash_v2_5", "eleven_v3"
BELLA, GEORGE = ELEVENLABS_VOICES.female, ELEVENLABS_VOICES.male


def speak_ask(model: str = FLASH, rate_hz: int = 24_000, **more: Any) -> SpeakAsk:
    return SpeakAsk(model, more.pop("voice", ""), rate_hz, **more)


def speech_ask(sound: Sound, model: str = FLASH, **more: Any) -> SpeechAsk:
    return SpeechAsk(model, more.pop("voice", ""), "Hello there.", sound, **more)


@pytest.mark.parametrize("model", [FLASH, V3])
@pytest.mark.parametrize("rate_hz", [8000, 24_000])
async def test_utterances_are_spoken_one_after_the_other(model: str, rate_hz: int) -> None:
    driver = elevenlabs_speak(speak_ask(model, rate_hz))
    async with simulated() as simulator, voice(simulator, "elevenlabs", driver) as said:
        await said.send(driver.keepalive())
        first = await said.say("Hello there. ", "How are you?")
        await said.send(driver.keepalive())
        second = await said.say("Fine.")
        await said.send(driver.finish())
        while await said.receive():
            pass
        exchanges = said.exchanges()
    per_char = S_PER_CHAR * rate_hz * 2
    assert len(first) == pytest.approx(len("Hello there.How are you?") * per_char, abs=8)
    assert len(second) == pytest.approx(len("Fine.") * per_char, abs=8)
    assert [(exchange.status, exchange.model) for exchange in exchanges] == [(Status.OK, model)] * 2
    assert [exchange.usage.characters for exchange in exchanges] == [25, 5]


def test_messages_are_those_of_a_context() -> None:
    driver = elevenlabs_speak(speak_ask(options={"stability": 0.5}))
    sent = [*driver.speak("One."), *driver.keepalive(), *driver.speak("Two. "), *driver.flush(), *driver.cancel()]
    messages = [msgspec.json.decode(message.data) for message in sent]
    context = {"context_id": messages[0]["context_id"]}
    assert messages == [
        {"text": " ", "voice_settings": {"stability": 0.5}} | context,
        {"text": "One. ", "flush": True} | context,
        {"text": ""} | context,
        {"text": "Two. ", "flush": True} | context,
        {"text": "", "flush": True} | context,
        {"close_context": True} | context,
        {"close_context": True} | context,
    ]
    assert [msgspec.json.decode(message.data) for message in driver.keepalive()] == [{"text": ""}]
    assert msgspec.json.decode(driver.speak("Three.")[0].data)["context_id"] != context["context_id"]


def test_messages_of_newer_models_are_those_of_a_dialogue() -> None:
    driver = elevenlabs_speak(speak_ask(V3, options={"stability": 0.5, "style": 0.1}))
    assert driver.keepalive() == ()
    sent = [*driver.speak("One."), *driver.keepalive(), *driver.flush()]
    messages = [msgspec.json.decode(message.data) for message in sent]
    context = {"context_id": messages[0]["context_id"]}
    assert messages == [
        {"voices": [BELLA], "voice_settings": {"stability": 0.5}} | context,
        {"inputs": [{"text": "One. ", "voice_id": BELLA}], "flush": True} | context,
        {"keep_alive": True} | context,
        {"inputs": [{"text": "", "voice_id": BELLA}], "flush": True} | context,
        {"close_context": True} | context,
    ]


@pytest.mark.parametrize("is_flushed", [True, False])
async def test_cancelling_is_told_and_the_next_utterance_is_its_own(is_flushed: bool) -> None:
    driver = elevenlabs_speak(speak_ask())
    async with simulated() as simulator, voice(simulator, "elevenlabs", driver) as said:
        await said.send(driver.speak("A very long sentence that nobody wants to hear to its end. " * 3))
        await said.send(driver.flush() if is_flushed else ())
        while not said.samples():
            await said.receive()
        await said.send(driver.cancel())
        samples = await said.say("Hi.")
    assert said.stopped == 1
    assert len(samples) == pytest.approx(3 * S_PER_CHAR * 48_000, abs=4)


def test_the_address_is_that_of_the_model() -> None:
    driver = elevenlabs_speak(speak_ask(rate_hz=44_100, voice="onyx", language="fr-CA", options={"auto_mode": False}))
    assert isinstance(driver, ElevenLabsSpeakDriver)
    assert (driver.address.path, driver.rate_hz) == (f"/v1/text-to-speech/{GEORGE}/multi-stream-input", 24_000)
    assert dict(driver.address.query) == {
        "model_id": FLASH, "output_format": "pcm_24000", "language_code": "fr", "auto_mode": "false",
        "inactivity_timeout": "180", "apply_text_normalization": "auto", "enable_logging": "true",
    }  # fmt: skip
    assert driver.keepalive_s == 120.0
    dialogue = elevenlabs_speak(speak_ask(V3, language="nb"))
    assert isinstance(dialogue, ElevenLabsDialogueDriver)
    assert dialogue.address.path == "/v1/text-to-dialogue/multi-stream-input"
    assert dict(dialogue.address.query) == {
        "model_id": V3, "output_format": "pcm_24000", "language_code": "no", "apply_text_normalization": "auto",
        "enable_logging": "true",
    }  # fmt: skip
    assert dialogue.keepalive_s == 10.0


@pytest.mark.parametrize("model", ["eleven_multilingual_v2", "eleven_flash_v2", "a-model-of-tomorrow"])
def test_models_that_refuse_a_language_are_told_none(model: str) -> None:
    assert "language_code" not in dict(elevenlabs_speak(speak_ask(model, language="es")).address.query)
    assert "language_code" not in body_of(elevenlabs_speech(speech_ask(Sound(Container.PCM), model, language="es")))


def test_options_that_follow_from_the_call_are_refused() -> None:
    with pytest.raises(BadRequest, match="options: found 'output_format'"):
        elevenlabs_speak(speak_ask(options={"output_format": "mp3_44100_128"}))


@pytest.mark.parametrize(
    ("wanted", "gives", "name"),
    [
        (Sound(Container.PCM), Sound(Container.PCM, 24_000), "pcm_24000"),
        (Sound(Container.PCM, 8000), Sound(Container.PCM, 8000), "pcm_8000"),
        (Sound(Container.PCM, 48_000), Sound(Container.PCM, 24_000), "pcm_24000"),
        (Sound(Container.WAV), Sound(Container.PCM, 24_000), "pcm_24000"),
        (Sound(Container.MP3), Sound(Container.MP3, 44_100), "mp3_44100_128"),
        (Sound(Container.MP3, 24_000), Sound(Container.PCM, 24_000), "pcm_24000"),
        (Sound(Container.OPUS), Sound(Container.OPUS, 48_000), "opus_48000_64"),
        (Sound(Container.FLAC), Sound(Container.PCM, 24_000), "pcm_24000"),
    ],
)
@pytest.mark.parametrize("model", [FLASH, V3])
async def test_a_text_is_spoken_by_one_request(model: str, wanted: Sound, gives: Sound, name: str) -> None:
    request = elevenlabs_speech(speech_ask(wanted, model))
    assert (request.gives, dict(request.request.query)) == (gives, {"output_format": name})
    async with simulated() as simulator:
        answer = await asked(simulator, "elevenlabs", request)
    assert answer.audio_s == pytest.approx(len("Hello there.") * S_PER_CHAR, abs=0.002)
    if gives.container is Container.PCM:
        assert len(answer.body) == pytest.approx(12 * S_PER_CHAR * (gives.rate_hz or 0) * 2, abs=8)


def test_requests_say_all_of_the_ask() -> None:
    plain = elevenlabs_speech(speech_ask(Sound(Container.MP3), language="de-AT", speed=0.8, instructions="Whisper."))
    assert plain.request.path == f"/v1/text-to-speech/{BELLA}/stream"
    assert body_of(plain) == {
        "model_id": FLASH, "text": "Hello there.", "language_code": "de", "voice_settings": {"speed": 0.8},
    }  # fmt: skip
    dialogue = elevenlabs_speech(speech_ask(Sound(Container.MP3), V3, voice="echo"))
    assert dialogue.request.path == "/v1/text-to-dialogue/stream"
    assert body_of(dialogue) == {"model_id": V3, "inputs": [{"text": "Hello there.", "voice_id": GEORGE}]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sound": Sound(Container.AAC)}, "response_format: found 'aac', which elevenlabs does not deliver"),
        ({"voice": "a/b"}, "voice: found 'a/b', which elevenlabs does not have"),
        ({"speed": 1.5}, "speed: found 1.5, expected 0.7 to 1.2, which is what eleven_flash_v2_5 can do"),
        ({"speed": 1.1, "model": V3}, "speed: found 1.1, which eleven_v3 cannot do"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    fields = {"sound": Sound(Container.PCM)} | changes
    with pytest.raises(BadRequest) as caught:
        elevenlabs_speech(speech_ask(**fields))
    assert caught.value.message.startswith(message)

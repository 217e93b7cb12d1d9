"""Deepgram's text-to-speech drivers: what they say, and what the simulated provider makes of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.drivers.voiced import S_PER_CHAR, asked, body_of, simulated, voice
from voicegw_sidecar.asks import Container, Sound, SpeakAsk, SpeechAsk
from voicegw_sidecar.drivers.base import Messages
from voicegw_sidecar.drivers.deepgram_speech import (
    DeepgramFluxSpeakDriver,
    DeepgramSpeakDriver,
    deepgram_speak,
    deepgram_speech,
    voice_model,
)
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.terms import Status
from voicegw_sidecar.wire.wav import wav_head

THALIA, ALEXIS = "aura-2-thalia-en", "flux-alexis-en"


def speak_ask(model: str = THALIA, rate_hz: int = 24_000, **more: Any) -> SpeakAsk:
    return SpeakAsk(model, more.pop("voice", ""), rate_hz, **more)


def speech_ask(sound: Sound, model: str = THALIA, **more: Any) -> SpeechAsk:
    return SpeechAsk(model, more.pop("voice", ""), "Hello there.", sound, **more)


def told(messages: Messages) -> list[str]:
    """Types of messages, texts in place of ``Speak``."""
    decoded: list[dict[str, str]] = [msgspec.json.decode(message.data) for message in messages]
    return [message.get("text", message["type"]) for message in decoded]


@pytest.mark.parametrize("model", [THALIA, ALEXIS])
@pytest.mark.parametrize("rate_hz", [8000, 48_000])
async def test_utterances_are_spoken_one_after_the_other(model: str, rate_hz: int) -> None:
    driver = deepgram_speak(speak_ask(model, rate_hz))
    async with simulated() as simulator, voice(simulator, "deepgram", driver) as said:
        first = await said.say("Hello there. ", "How are you? ", "Good.")
        second = await said.say("Fine.")
        third = await said.say("no end of a sentence")
        await said.send(driver.finish())
        while await said.receive():
            pass
        exchanges = said.exchanges()
    per_char = S_PER_CHAR * rate_hz * 2
    # what is left of a text at a flush is spoken without its blanks
    assert len(first) == pytest.approx(len("Hello there. How are you? Good.") * per_char, abs=2 * per_char)
    assert len(second) == pytest.approx(len("Fine.") * per_char, abs=8)
    assert len(third) == pytest.approx(len("no end of a sentence") * per_char, abs=8)
    assert {exchange.status for exchange in exchanges} == {Status.OK}
    assert len(exchanges) == (4 if model == THALIA else 3)
    assert {exchange.model for exchange in exchanges} == {model}


def test_aura_flushes_after_the_first_sentence_and_at_the_end() -> None:
    driver = deepgram_speak(speak_ask())
    assert isinstance(driver, DeepgramSpeakDriver)
    assert told(driver.speak("Well, ")) == ["Well, "]
    assert driver.ends == 1
    assert told(driver.speak('hello "there." ')) == ['hello "there." ', "Flush"]
    assert driver.ends == 1
    assert told(driver.speak(" ")) == []
    assert told(driver.speak("How are you? ")) == ["How are you? "]
    assert told(driver.speak("Good. ")) == ["Good. "]
    assert driver.ends == 2
    assert told(driver.flush()) == ["Flush"]
    assert driver.ends == 2
    assert told(driver.speak("Fine.")) == ["Fine.", "Flush"]
    assert told(driver.flush()) == []
    assert driver.ends == 1
    assert told(driver.speak("One") + driver.flush()) == ["One", "Flush"]
    assert driver.ends == 1


def test_the_limit_of_flushes_is_not_met_by_long_utterances() -> None:
    """Twenty in a minute are the most; fifty sentences are more than a minute's talk."""
    driver = deepgram_speak(speak_ask())
    sent = [message for _ in range(50) for message in told(driver.speak("A sentence. "))] + told(driver.flush())
    assert sent.count("Flush") == 2


def test_flux_flushes_at_the_end_only() -> None:
    driver = deepgram_speak(speak_ask(ALEXIS))
    assert isinstance(driver, DeepgramFluxSpeakDriver)
    sent = told(driver.speak("One. ") + driver.speak("Two. ") + driver.flush() + driver.cancel() + driver.finish())
    assert sent == ["One. ", "Two. ", "Flush", "Interrupt", "Close"]
    assert driver.ends == 0


@pytest.mark.parametrize("model", [THALIA, ALEXIS])
def test_speech_is_due_from_the_end_of_a_sentence_or_the_flush(model: str) -> None:
    driver = deepgram_speak(speak_ask(model))
    for words in ("Well, ", "hello"):
        driver.speak(words)
        assert not driver.is_due
    driver.speak(" there. ")
    assert driver.is_due
    driver.flush()
    driver.speak("Another ")
    assert not driver.is_due
    driver.flush()
    assert driver.is_due


@pytest.mark.parametrize("model", [THALIA, ALEXIS])
@pytest.mark.parametrize("is_flushed", [True, False])
async def test_cancelling_stops_the_provider_and_the_next_utterance_is_its_own(model: str, is_flushed: bool) -> None:
    driver = deepgram_speak(speak_ask(model))
    async with simulated() as simulator, voice(simulator, "deepgram", driver) as said:
        await said.send(driver.speak("A very long sentence that nobody wants to hear to its end. " * 10))
        await said.send(driver.flush() if is_flushed else ())
        while not said.samples():
            await said.receive()
        await said.send(driver.cancel())
        if model == ALEXIS:  # a turn is stopped once the provider says so
            while not said.stopped:
                await said.receive()
        samples = await said.say("Hi.")
        entries = simulator.ledger.work("deepgram.speak" if model == THALIA else "deepgram.flux_speak")
    assert said.stopped >= 1
    assert len(samples) == pytest.approx(3 * S_PER_CHAR * 48_000, abs=4)
    assert (entries[0].audio_out_s or 0) < 590 * S_PER_CHAR


@pytest.mark.parametrize(
    ("model", "wanted_hz", "given_hz"),
    [(THALIA, 22_050, 24_000), (THALIA, 44_100, 48_000), (ALEXIS, 44_100, 44_100), (ALEXIS, 12_000, 16_000)],
)
def test_the_address_says_what_is_spoken(model: str, wanted_hz: int, given_hz: int) -> None:
    driver = deepgram_speak(speak_ask(model, wanted_hz, options={"mip_opt_out": True}))
    assert driver.rate_hz == given_hz
    assert driver.address.path == ("/v1/speak" if model == THALIA else "/v2/speak")
    assert dict(driver.address.query) == {
        "model": model, "encoding": "linear16", "sample_rate": str(given_hz), "mip_opt_out": "true",
    }  # fmt: skip
    with pytest.raises(BadRequest, match="options: found 'encoding'"):
        deepgram_speak(speak_ask(options={"encoding": "mulaw"}))


@pytest.mark.parametrize(
    ("model", "wanted", "language", "expected"),
    [
        (THALIA, "", None, THALIA),
        (THALIA, "", "en-US", THALIA),
        (THALIA, "", "es", "aura-2-celeste-es"),
        (THALIA, "onyx", None, THALIA),
        (THALIA, "aura-2-luna-en", "en", "aura-2-luna-en"),
        (THALIA, "flux-haley-en", None, "flux-haley-en"),
        (THALIA, "luna", None, "aura-2-luna-en"),
        (THALIA, "apollo", "es-MX", "aura-2-nestor-es"),
        ("aura-2-luna-en", "", None, "aura-2-luna-en"),
        ("aura-2-luna-en", "nova", "en", "aura-2-luna-en"),
        ("aura-2", "", None, THALIA),
        ("aura-2", "athena", "en", "aura-2-athena-en"),
        ("aura-2", "onyx", None, "aura-2-apollo-en"),
        ("aura-2", "onyx", "fr-FR", "aura-2-hector-fr"),
        ("aura-2", "carina", "es", "aura-2-carina-es"),
        ("aura", "", None, "aura-asteria-en"),
        ("aura", "echo", None, "aura-orion-en"),
        ("flux", "", "en-GB", "flux-alexis-en"),
        ("flux", "echo", None, "flux-cole-en"),
        (ALEXIS, "kit", None, "flux-kit-en"),
        ("aura-2-celeste-es", "", "es-419", "aura-2-celeste-es"),
        ("aura-2-celeste-es", "javier", None, "aura-2-javier-es"),
        ("a-model-of-tomorrow", "", "pt", "a-model-of-tomorrow"),
    ],
)
def test_the_voice_is_part_of_the_model(model: str, wanted: str, language: str | None, expected: str) -> None:
    assert voice_model(model, wanted, language) == expected


@pytest.mark.parametrize(
    ("model", "wanted", "language", "message"),
    [
        ("aura-2-luna-en", "", "es", "language: found 'es', which aura-2-luna-en does not know; expected en; name a"),
        (THALIA, "aura-2-luna-en", "fr", "language: found 'fr', which aura-2-luna-en does not know"),
        (THALIA, "", "pt-BR", "language: found 'pt-BR', which aura-2 does not know; expected en, es, nl, fr, de, it"),
        ("flux", "", "es", "language: found 'es', which flux does not know; expected en; use another provider"),
        ("aura-2", "alloy2", None, "voice: found 'alloy2', which deepgram does not have"),
    ],
)
def test_what_a_voice_cannot_speak_is_refused(model: str, wanted: str, language: str | None, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        voice_model(model, wanted, language)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("wanted", "gives", "query"),
    [
        (Sound(Container.PCM), Sound(Container.PCM, 24_000), {"encoding": "linear16", "container": "none"}),
        (Sound(Container.PCM, 22_050), Sound(Container.PCM, 24_000), {"encoding": "linear16", "container": "none"}),
        (Sound(Container.WAV, 16_000), Sound(Container.WAV, 16_000), {"encoding": "linear16", "container": "wav"}),
        (Sound(Container.MP3), Sound(Container.MP3, 22_050), {"encoding": "mp3"}),
        (Sound(Container.MP3, 48_000), Sound(Container.PCM, 48_000), {"encoding": "linear16", "container": "none"}),
        (Sound(Container.OPUS), Sound(Container.OPUS, 48_000), {"encoding": "opus", "container": "ogg"}),
        (Sound(Container.AAC), Sound(Container.AAC, 22_050), {"encoding": "aac"}),
        (Sound(Container.FLAC), Sound(Container.FLAC, 32_000), {"encoding": "flac"}),
    ],
)
@pytest.mark.parametrize("model", [THALIA, ALEXIS])
async def test_a_text_is_spoken_by_one_request(model: str, wanted: Sound, gives: Sound, query: dict[str, str]) -> None:
    request = deepgram_speech(speech_ask(wanted, model))
    rate = {} if gives.container.value in ("mp3", "opus", "aac") else {"sample_rate": str(gives.rate_hz)}
    assert (request.gives, dict(request.request.query)) == (gives, {"model": model} | query | rate)
    assert request.request.path == ("/v1/speak" if model == THALIA else "/v2/speak")
    assert body_of(request) == {"text": "Hello there."}
    async with simulated() as simulator:
        answer = await asked(simulator, "deepgram", request)
    audio_s = len("Hello there.") * S_PER_CHAR
    if gives.container in (Container.PCM, Container.WAV):
        assert answer.audio_s == pytest.approx(audio_s, abs=0.001)
    if gives.container is Container.PCM:
        assert len(answer.body) == pytest.approx(audio_s * (gives.rate_hz or 0) * 2, abs=8)
    if gives.container is Container.WAV:
        head = wav_head(answer.body)
        assert head is not None
        assert head.pcm is not None
        assert head.pcm.rate_hz == gives.rate_hz


@pytest.mark.parametrize(
    ("model", "speed", "asked_for"),
    [(THALIA, 1.23, "1.23"), (ALEXIS, 1.23, "1.25"), (ALEXIS, 0.5, "0.5"), (ALEXIS, 1.0, None)],
)
def test_the_pace_is_one_that_the_model_has(model: str, speed: float, asked_for: str | None) -> None:
    request = deepgram_speech(speech_ask(Sound(Container.PCM), model, speed=speed))
    assert dict(request.request.query).get("speed") == asked_for


@pytest.mark.parametrize(("model", "speed", "least"), [(THALIA, 0.6, 0.7), (ALEXIS, 0.4, 0.5), (THALIA, 1.6, 0.7)])
def test_another_pace_is_refused(model: str, speed: float, least: float) -> None:
    with pytest.raises(BadRequest, match=f"speed: found {speed:g}, expected {least:g} to 1.5, which is what {model}"):
        deepgram_speech(speech_ask(Sound(Container.PCM), model, speed=speed))

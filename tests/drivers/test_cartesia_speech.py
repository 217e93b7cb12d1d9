"""Cartesia's text-to-speech drivers: what they say, and what the simulated provider makes of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.drivers.voiced import S_PER_CHAR, asked, body_of, simulated, voice
from voicegw_sidecar.asks import Container, Sound, SpeakAsk, SpeechAsk
from voicegw_sidecar.drivers.cartesia_speech import CARTESIA_VOICES, CartesiaSpeakDriver, cartesia_speech
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.events import Failed, TextIn
from voicegw_sidecar.terms import Status
from voicegw_sidecar.wire.wav import wav_head

KATIE = CARTESIA_VOICES.female
OWN = "694f9389-aac1-45b6-b726-9d9369183238"


def speak_ask(rate_hz: int = 24_000, **more: Any) -> SpeakAsk:
    return SpeakAsk("sonic-3", "", rate_hz, **more)


def speech_ask(sound: Sound, text: str = "Hello there.", model: str = "sonic-3", **more: Any) -> SpeechAsk:
    return SpeechAsk(model, more.pop("voice", ""), text, sound, **more)


@pytest.mark.parametrize("rate_hz", [8000, 24_000, 44_100])
async def test_utterances_are_spoken_one_after_the_other(rate_hz: int) -> None:
    async with simulated() as simulator, voice(simulator, "cartesia", CartesiaSpeakDriver(speak_ask(rate_hz))) as said:
        first = await said.say("Hello there. ", "How are you? ")
        second = await said.say("Fine.")
        await said.send(said.driver.finish())
        exchanges = said.exchanges()
    per_char = S_PER_CHAR * rate_hz * 2
    assert len(first) == pytest.approx(len("Hello there.How are you?") * per_char, abs=8)
    assert len(second) == pytest.approx(len("Fine.") * per_char, abs=8)
    assert [exchange.usage.characters for exchange in exchanges] == [25, 5]
    assert {exchange.status for exchange in exchanges} == {Status.OK}
    assert [event.text for event in said.events if isinstance(event, TextIn)] == [
        "Hello there. ",
        "How are you? ",
        "Fine.",
    ]


def test_messages_are_those_of_a_context() -> None:
    driver = CartesiaSpeakDriver(speak_ask(16_000, language="en-GB"))
    sent = [*driver.speak("One. "), *driver.speak("Two."), *driver.flush(), *driver.speak("Three."), *driver.cancel()]
    first, second, closing, third, cancelling = [msgspec.json.decode(message.data) for message in sent]
    fields = {
        "model_id": "sonic-3", "voice": {"mode": "id", "id": KATIE}, "language": "en", "max_buffer_delay_ms": 0,
        "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16_000},
    }  # fmt: skip
    context = first["context_id"]
    assert first == fields | {"context_id": context, "transcript": "One. ", "continue": True}
    assert second == fields | {"context_id": context, "transcript": "Two.", "continue": True}
    assert closing == fields | {"context_id": context, "transcript": "", "continue": False}
    assert third["context_id"] != context
    assert cancelling == {"context_id": third["context_id"], "cancel": True}
    assert (driver.address.path, driver.address.headers) == ("/tts/websocket", (("Cartesia-Version", "2026-03-01"),))
    assert CartesiaSpeakDriver(speak_ask()).speak("x")[0].data.find(context.encode()) < 0


async def test_cancelling_stops_the_provider_and_the_next_utterance_is_its_own() -> None:
    async with simulated() as simulator, voice(simulator, "cartesia", CartesiaSpeakDriver(speak_ask())) as said:
        await said.send(said.driver.speak("A very long sentence that nobody wants to hear to its end. " * 10))
        while not said.samples():
            await said.receive()
        await said.send(said.driver.cancel())
        samples = await said.say("Hi.")
        entries = simulator.ledger.work("cartesia.tts")
    assert said.stopped == 1
    assert len(samples) == pytest.approx(3 * S_PER_CHAR * 48_000, abs=4)
    assert (entries[0].audio_out_s or 0) < 590 * S_PER_CHAR


async def test_the_providers_refusal_is_told() -> None:
    driver = CartesiaSpeakDriver(speak_ask(options={"add_timestamps": "not a truth value"}))
    async with simulated() as simulator, voice(simulator, "cartesia", driver) as said:
        await said.send(said.driver.speak("Hi."))
        await said.receive()
    [failed] = [event for event in said.events if isinstance(event, Failed)]
    assert failed.code == "invalid_request"
    assert failed.message.startswith("Invalid message")


@pytest.mark.parametrize(
    ("wanted_hz", "given_hz"), [(8000, 8000), (12_000, 16_000), (32_000, 44_100), (48_000, 48_000), (96_000, 48_000)]
)
def test_rates_are_the_nearest_it_has(wanted_hz: int, given_hz: int) -> None:
    assert CartesiaSpeakDriver(speak_ask(wanted_hz)).rate_hz == given_hz


@pytest.mark.parametrize(
    ("model", "options", "expected"),
    [
        ("sonic-3", {"speed": 1.2, "emotion": "excited", "add_timestamps": True},
         {"generation_config": {"speed": 1.2, "emotion": "excited"}, "add_timestamps": True}),
        ("sonic-2", {"speed": "slow"}, {"speed": "slow"}),
        ("sonic-3", {"max_buffer_delay_ms": 500}, {"max_buffer_delay_ms": 500}),
    ],
)  # fmt: skip
def test_options_go_where_the_model_has_them(model: str, options: dict[str, object], expected: dict[str, Any]) -> None:
    driver = CartesiaSpeakDriver(SpeakAsk(model, OWN, 24_000, options=options))
    message = msgspec.json.decode(driver.speak("x")[0].data)
    assert {name: message[name] for name in expected} == expected
    assert message["voice"] == {"mode": "id", "id": OWN}


@pytest.mark.parametrize("name", ["voice", "output_format", "context_id", "continue", "transcript", "model_id"])
def test_options_that_follow_from_the_call_are_refused(name: str) -> None:
    with pytest.raises(BadRequest, match=f"options: found '{name}', which follows from the call itself"):
        CartesiaSpeakDriver(speak_ask(options={name: "x"}))


@pytest.mark.parametrize(
    ("wanted", "gives", "content_type"),
    [
        (Sound(Container.PCM, 16_000), Sound(Container.PCM, 16_000), "audio/pcm"),
        (Sound(Container.PCM, 32_000), Sound(Container.PCM, 44_100), "audio/pcm"),
        (Sound(Container.WAV, 22_050), Sound(Container.WAV, 22_050), "audio/wav"),
        (Sound(Container.WAV), Sound(Container.WAV, 24_000), "audio/wav"),
        (Sound(Container.MP3), Sound(Container.MP3, 24_000), "audio/mpeg"),
        (Sound(Container.OPUS), Sound(Container.PCM, 24_000), "audio/pcm"),
        (Sound(Container.FLAC, 44_100), Sound(Container.PCM, 44_100), "audio/pcm"),
    ],
)
async def test_a_text_is_spoken_by_one_request(wanted: Sound, gives: Sound, content_type: str) -> None:
    request = cartesia_speech(speech_ask(wanted))
    assert request.gives == gives
    async with simulated() as simulator:
        answer = await asked(simulator, "cartesia", request)
    assert answer.content_type == content_type
    audio_s = len("Hello there.") * S_PER_CHAR
    if gives.container is Container.PCM:
        assert answer.audio_s == pytest.approx(audio_s, abs=0.001)
        assert len(answer.body) == pytest.approx(audio_s * (gives.rate_hz or 0) * 2, abs=8)
    if gives.container is Container.WAV:
        head = wav_head(answer.body)
        assert head is not None
        assert head.pcm is not None
        assert head.pcm.rate_hz == gives.rate_hz
        assert answer.audio_s == pytest.approx(audio_s, abs=0.001)


def test_a_request_says_all_of_the_ask() -> None:
    request = cartesia_speech(speech_ask(Sound(Container.MP3, 44_100), voice="onyx", language="nb-NO", speed=1.2))
    assert (request.request.method, request.request.path) == ("POST", "/tts/bytes")
    assert ("Cartesia-Version", "2026-03-01") in request.request.headers
    assert body_of(request) == {
        "model_id": "sonic-3", "transcript": "Hello there.", "language": "no", "generation_config": {"speed": 1.2},
        "voice": {"mode": "id", "id": CARTESIA_VOICES.male},
        "output_format": {"container": "mp3", "bit_rate": 128_000, "sample_rate": 44_100},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sound": Sound(Container.AAC)}, "response_format: found 'aac', which cartesia does not deliver"),
        ({"voice": "alloy2"}, "voice: found 'alloy2', which cartesia does not have; expected a voice id such as"),
        ({"speed": 2.0}, "speed: found 2, expected 0.6 to 1.5, which is what sonic-3 can do"),
        ({"speed": 1.2, "model": "sonic-2"}, "speed: found 1.2, which sonic-2 cannot do; expected 1, or a model like"),
        ({"language": "English!"}, "language: found 'English!', expected a BCP-47 tag"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    fields = {"sound": Sound(Container.PCM)} | changes
    with pytest.raises(BadRequest) as caught:
        cartesia_speech(speech_ask(**fields))
    assert caught.value.message.startswith(message)

"""Requests for speech to Piper, and what the simulated one makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.drivers.voiced import S_PER_CHAR, asked, body_of, simulated
from voicegw_sidecar.asks import Container, Sound, SpeechAsk
from voicegw_sidecar.drivers.piper_speech import piper_speech
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.wire.wav import wav_head

LESSAC = "en_US-lessac-medium"


def ask(voice: str = "", model: str = "piper", **more: Any) -> SpeechAsk:
    return SpeechAsk(model, voice, "Hello there.", more.pop("sound", Sound(Container.PCM, 16_000)), **more)


async def test_a_text_is_spoken_as_a_wav_file() -> None:
    request = piper_speech(ask())
    assert request.gives == Sound(Container.WAV)
    async with simulated() as simulator:
        answer = await asked(simulator, "piper", request)
    head = wav_head(answer.body)
    assert head is not None
    assert head.pcm is not None
    assert head.pcm.rate_hz == 22_050
    assert answer.audio_s == pytest.approx(len("Hello there.") * S_PER_CHAR, abs=0.001)


@pytest.mark.parametrize(
    ("asking", "expected"),
    [
        (ask(), {}),
        (ask("onyx", speed=1.0), {}),
        (ask(LESSAC, language="en-GB"), {"voice": LESSAC}),
        (ask("my_voice", language="es"), {"voice": "my_voice"}),
        (ask("", "de_DE-thorsten-high", language="de"), {"voice": "de_DE-thorsten-high"}),
        (ask(LESSAC, "de_DE-thorsten-high"), {"voice": LESSAC}),
        (ask(speed=1.25), {"length_scale": 0.8}),
    ],
)
def test_the_server_is_told_what_differs_from_its_own(asking: SpeechAsk, expected: dict[str, Any]) -> None:
    request = piper_speech(asking)
    assert (request.request.method, request.request.path) == ("POST", "/synthesize")
    assert body_of(request) == {"text": "Hello there."} | expected


@pytest.mark.parametrize(
    ("asking", "message"),
    [
        (ask(LESSAC, language="fr"), f"language: found 'fr', which {LESSAC} does not know; expected en"),
        (ask("", LESSAC, language="fr"), f"language: found 'fr', which {LESSAC} does not know; expected en"),
        (ask("../secret"), "voice: found '../secret', which piper does not have"),
        (ask("", "en_US-../secret"), "voice: found 'en_US-../secret', which piper does not have"),
        (ask(speed=5.0), "speed: found 5, expected 0.25 to 4"),
        (ask(sound=Sound(Container.AAC)), "response_format: found 'aac', which piper does not deliver"),
    ],
)
def test_what_cannot_be_is_refused(asking: SpeechAsk, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        piper_speech(asking)
    assert caught.value.message.startswith(message)

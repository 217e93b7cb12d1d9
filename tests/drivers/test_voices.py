"""Names of voices, from callers' to providers'."""

from __future__ import annotations

import pytest

from voicegw_sidecar.drivers.base import Voices
from voicegw_sidecar.drivers.cartesia_speech import CARTESIA_VOICES
from voicegw_sidecar.drivers.deepgram_speech import DEEPGRAM_VOICES
from voicegw_sidecar.drivers.elevenlabs_speech import ELEVENLABS_VOICES
from voicegw_sidecar.drivers.groq_speech import GROQ_VOICES
from voicegw_sidecar.drivers.openai_speech import COMPATIBLE_VOICES, KOKORO_VOICES, OPENAI_VOICES
from voicegw_sidecar.drivers.piper_speech import PIPER_VOICES
from voicegw_sidecar.drivers.voices import OPENAI_NAMES, voice_of
from voicegw_sidecar.errors import BadRequest

KNOWN: dict[str, Voices] = {
    "cartesia": CARTESIA_VOICES, "deepgram": DEEPGRAM_VOICES, "elevenlabs": ELEVENLABS_VOICES, "groq": GROQ_VOICES,
    "openai": OPENAI_VOICES, "kokoro": KOKORO_VOICES, "piper": PIPER_VOICES, "compatible": COMPATIBLE_VOICES,
}  # fmt: skip
OF_THEIR_OWN = [
    ("cartesia", "694f9389-aac1-45b6-b726-9d9369183238"), ("deepgram", "aura-2-luna-en"), ("deepgram", "luna"),
    ("deepgram", "flux-haley-en"), ("elevenlabs", "EXAVITQu4vr4xnSDxMaL"), ("groq", "autumn"), ("openai", "verse"),
    ("openai", "voice_1234"), ("kokoro", "bf_emma"), ("kokoro", "af_bella(2)+af_sky(1)"), ("kokoro", "am_v0adam"),
    ("piper", "en_US-lessac-medium"), ("piper", "my_voice"), ("compatible", "anything at all"),
]  # fmt: skip
OF_NOBODY = [
    ("cartesia", "alloy2"), ("cartesia", "Katie"), ("deepgram", "alloy2"), ("deepgram", "aura-2-Thalia-en"),
    ("elevenlabs", "Rachel"), ("elevenlabs", "../../v1/voices/abcdefgh"), ("groq", "Hannah!"), ("openai", "af_heart"),
    ("kokoro", "hannah"), ("kokoro", "af_heart/../x"), ("piper", "../secret"), ("piper", "a/b"), ("piper", ".."),
]  # fmt: skip


@pytest.mark.parametrize("provider", KNOWN)
@pytest.mark.parametrize("nobody", [None, ""])
def test_no_name_is_the_default(provider: str, nobody: str | None) -> None:
    voices = KNOWN[provider]
    assert voice_of(provider, voices, nobody) == voices.default == voices.female


@pytest.mark.parametrize("provider", [name for name in KNOWN if name not in ("openai", "compatible")])
def test_openais_names_stand_for_the_usual_voice_of_their_kind(provider: str) -> None:
    voices = KNOWN[provider]
    assert {name: voice_of(provider, voices, name) for name in OPENAI_NAMES} == {
        "alloy": voices.female, "coral": voices.female, "marin": voices.female, "nova": voices.female,
        "sage": voices.female, "shimmer": voices.female, "ash": voices.male, "ballad": voices.male,
        "cedar": voices.male, "echo": voices.male, "fable": voices.male, "onyx": voices.male, "verse": voices.male,
    }  # fmt: skip


@pytest.mark.parametrize("provider", ["openai", "compatible"])
def test_where_they_are_its_own_they_stay(provider: str) -> None:
    assert {voice_of(provider, KNOWN[provider], name) for name in OPENAI_NAMES} == OPENAI_NAMES


@pytest.mark.parametrize(("provider", "name"), OF_THEIR_OWN)
def test_names_of_its_own_stay(provider: str, name: str) -> None:
    assert voice_of(provider, KNOWN[provider], name) == name


@pytest.mark.parametrize(("provider", "name"), OF_NOBODY)
def test_what_can_be_no_name_is_refused(provider: str, name: str) -> None:
    voices = KNOWN[provider]
    with pytest.raises(BadRequest) as caught:
        voice_of(provider, voices, name)
    assert caught.value.message == (
        f"voice: found {name!r}, which {provider} does not have; expected {voices.expected}, "
        "or one of OpenAI's names such as 'alloy'"
    )


@pytest.mark.parametrize("provider", KNOWN)
@pytest.mark.parametrize("name", [None, "alloy", "onyx"])
def test_asking_twice_changes_nothing(provider: str, name: str | None) -> None:
    once = voice_of(provider, KNOWN[provider], name)
    assert voice_of(provider, KNOWN[provider], once) == once


@pytest.mark.parametrize(("wanted", "found"), [(None, ""), ("", ""), ("x", "x")])
def test_voices_that_are_not_known_may_have_any_name(wanted: str | None, found: str) -> None:
    assert voice_of("x", None, wanted) == found


def test_a_long_name_is_not_repeated() -> None:
    with pytest.raises(BadRequest) as caught:
        voice_of("cartesia", CARTESIA_VOICES, "x" * 10_000)
    assert len(caught.value.message) < 300

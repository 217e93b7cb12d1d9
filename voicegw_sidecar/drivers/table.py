"""Which drivers each provider has."""

from __future__ import annotations

from voicegw_sidecar.drivers import (
    assemblyai_listen,
    assemblyai_recording,
    cartesia_listen,
    cartesia_recording,
    deepgram_listen,
    deepgram_recording,
    elevenlabs_listen,
    elevenlabs_recording,
    openai_listen,
    openai_recording,
)
from voicegw_sidecar.drivers.base import Drivers
from voicegw_sidecar.drivers.cartesia_speech import CARTESIA_VOICES, CartesiaSpeakDriver, cartesia_speech
from voicegw_sidecar.drivers.deepgram_speech import DEEPGRAM_VOICES, deepgram_speak, deepgram_speech
from voicegw_sidecar.drivers.elevenlabs_speech import ELEVENLABS_VOICES, elevenlabs_speak, elevenlabs_speech
from voicegw_sidecar.drivers.groq_speech import GROQ_VOICES, groq_speech, groq_speech_limit_chars
from voicegw_sidecar.drivers.openai_speech import (
    COMPATIBLE_VOICES,
    KOKORO_VOICES,
    OPENAI_VOICES,
    compatible_speech,
    kokoro_speech,
    openai_speech,
)
from voicegw_sidecar.drivers.piper_speech import PIPER_VOICES, piper_speech

_COMPATIBLE = Drivers(recording=openai_recording.recording("/v1"), speech=compatible_speech, voices=COMPATIBLE_VOICES)
_DRIVERS = {
    "openai": Drivers(
        listen=openai_listen.listening,
        recording=openai_recording.recording("/v1"),
        speech=openai_speech,
        voices=OPENAI_VOICES,
    ),
    "groq": Drivers(
        recording=openai_recording.recording("/openai/v1"),
        speech=groq_speech,
        speech_limit_chars=groq_speech_limit_chars,
        voices=GROQ_VOICES,
    ),
    "deepgram": Drivers(
        listen=deepgram_listen.listening,
        recording=deepgram_recording.recording,
        speak=deepgram_speak,
        speech=deepgram_speech,
        voices=DEEPGRAM_VOICES,
    ),
    "assemblyai": Drivers(listen=assemblyai_listen.listening, recording=assemblyai_recording.recording),
    "cartesia": Drivers(
        listen=cartesia_listen.listening,
        recording=cartesia_recording.recording,
        speak=CartesiaSpeakDriver,
        speech=cartesia_speech,
        voices=CARTESIA_VOICES,
    ),
    "elevenlabs": Drivers(
        listen=elevenlabs_listen.listening,
        recording=elevenlabs_recording.recording,
        speak=elevenlabs_speak,
        speech=elevenlabs_speech,
        voices=ELEVENLABS_VOICES,
    ),
    "whisper": Drivers(recording=openai_recording.recording("/v1")),
    "kokoro": Drivers(speech=kokoro_speech, voices=KOKORO_VOICES),
    "piper": Drivers(speech=piper_speech, voices=PIPER_VOICES),
}
_NONE = Drivers()


def drivers_of(provider_id: str, *, is_declared: bool) -> Drivers:
    """Return a provider's drivers; those of OpenAI's protocol for a server that the configuration declares."""
    return _COMPATIBLE if is_declared else _DRIVERS.get(provider_id, _NONE)

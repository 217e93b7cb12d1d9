"""The clients that are played, a file each."""

from tests.clients.cases import (
    anthropic_sdk,
    assemblyai_sdk,
    cartesia_sdk,
    deepgram_sdk,
    elevenlabs_sdk,
    groq_sdk,
    livekit,
    openai_sdk,
    pipecat,
)

MODULES = (
    openai_sdk,
    anthropic_sdk,
    groq_sdk,
    deepgram_sdk,
    assemblyai_sdk,
    cartesia_sdk,
    elevenlabs_sdk,
    livekit,
    pipecat,
)

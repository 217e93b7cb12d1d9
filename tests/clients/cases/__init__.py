"""The clients that are played, a file each."""

from tests.clients.cases import livekit, openai_sdk

MODULES = (openai_sdk, livekit)

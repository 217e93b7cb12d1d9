"""Whole conversations of unmodified LiveKit Agents, over each provider at least once: ``stt="…", llm="…", tts="…"``."""

from __future__ import annotations

import pytest

from tests.unified.conftest import StartUnified
from tests.unified.livekit_call import ANSWERS, GREETING, answered, hold, inference_at, script

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ROSTERS = "routing: {rosters: {stt: [deepgram, assemblyai], llm: [groq, openai], tts: [cartesia, elevenlabs]}}"
TRIPLES = [
    ("auto", "auto", "auto"),
    ("deepgram/flux-general-en", "openai/gpt-4.1-mini", "elevenlabs/eleven_flash_v2_5"),
    ("assemblyai/universal-streaming:en", "anthropic/claude-haiku-4-5", "deepgram/aura-2-thalia-en"),
    ("openai/gpt-4o-mini-transcribe", "groq/llama-3.3-70b-versatile", "openai/gpt-4o-mini-tts:coral"),
    ("elevenlabs/scribe_v2_realtime", "ollama/qwen2.5:3b", "groq/canopylabs/orpheus-v1-english"),
    ("cartesia/ink-2", "openai/gpt-4.1-mini", "kokoro/kokoro:af_bella"),
    ("groq/whisper-large-v3-turbo", "anthropic/claude-haiku-4-5", "piper/en_US-lessac-medium"),
    ("whisper/whisper-1", "auto", "cartesia/sonic-3"),
    ("openai/whisper-1", "auto", "auto"),
    ("cartesia/ink-whisper", "auto", "auto"),
]
PICKED = {"stt": "deepgram/nova-3", "llm": "groq/llama-3.3-70b-versatile", "tts": "cartesia/sonic-3"}


@pytest.mark.parametrize(("stt", "llm", "tts"), TRIPLES)
async def test_conversation_held_by_livekit(start_unified: StartUnified, stt: str, llm: str, tts: str) -> None:
    async with start_unified(ROSTERS, script=script()) as unified:
        with inference_at(f"{unified.sidecar.url}/p/acme/v1"):
            async with answered(stt, llm, tts) as phone:
                await hold(phone)
        rows = [row for row in await unified.sidecar.rows(at_least=7) if row.status in ("ok", "cancelled")]
    for modality, named in (("stt", stt), ("llm", llm), ("tts", tts)):
        mine = [row for row in rows if row.modality == modality and row.status == "ok"]
        expected = PICKED[modality] if named == "auto" else named
        assert {row.provider for row in mine} == {expected.partition("/")[0]}, modality
        assert all(row.project == "acme" for row in mine)
    assert sum(row.modality == "stt" and row.status == "ok" for row in rows) == 2
    spoken = sum(row.usage.characters or 0 for row in rows if row.modality == "tts")
    assert spoken >= sum(map(len, (GREETING, *ANSWERS))) - 4, "every answer was spoken whole"

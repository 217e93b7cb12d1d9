"""Pipecat's services as `inference.pipecat` makes them, each in a pipeline, through a real sidecar."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.clients.cases.pipecat import answering, listening, recognising, speaking
from tests.inference.conftest import OpenPlace
from tests.simulator.conftest import ANSWER
from voicegw_sidecar import inference
from voicegw_sidecar.cli.client_lines import PIPECAT as LINES
from voicegw_sidecar.inference import pipecat
from voicegw_sidecar.inference.pipecat import PIPECAT, Service

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
Run = Callable[[str], Awaitable[object]]


def heard(model: str) -> Run:
    return listening(lambda _: pipecat.STT(model))


def understood(model: str) -> Run:
    return recognising(lambda _: pipecat.STT(model))


async def transcribed(_: str) -> object:
    async with aiohttp.ClientSession() as http:
        return await recognising(lambda _: pipecat.STT("elevenlabs/scribe_v2", aiohttp_session=http))("")


def answered(model: str) -> Run:
    return answering(lambda _: pipecat.LLM(model))


def spoken(model: str) -> Run:
    return speaking(lambda _: pipecat.TTS(model))


CALLS: tuple[tuple[str, Run, str], ...] = (
    ("deepgram/nova-3", heard("deepgram/nova-3:en"), "stt"),
    ("deepgram/flux-general-en", heard("deepgram/flux-general-en"), "stt"),
    ("assemblyai/universal-3-6-pro", heard("assemblyai/universal-3-6-pro"), "stt"),
    ("cartesia/ink-2", heard("cartesia/ink-2"), "stt"),
    ("cartesia/ink-whisper", heard("cartesia/ink-whisper"), "stt"),
    ("elevenlabs/scribe_v2", transcribed, "stt"),
    ("openai/whisper-1", understood("openai/whisper-1"), "stt"),
    ("groq/whisper-large-v3-turbo", understood("groq/whisper-large-v3-turbo"), "stt"),
    ("whisper/whisper-large-v3", understood("local/whisper-large-v3"), "stt"),
    ("openai/gpt-4.1-mini", answered("openai/gpt-4.1-mini"), "llm"),
    ("anthropic/claude-haiku-4-5", answered("anthropic/claude-haiku-4-5"), "llm"),
    ("groq/llama-3.3-70b-versatile", answered("groq/llama-3.3-70b-versatile"), "llm"),
    ("ollama/qwen2.5:3b", answered("ollama/qwen2.5:3b"), "llm"),
    ("cartesia/sonic-3", spoken("cartesia/sonic-3:v"), "tts"),
    ("elevenlabs/eleven_flash_v2_5", spoken("elevenlabs/eleven_flash_v2_5:v"), "tts"),
    ("deepgram/aura-2-thalia-en", spoken("deepgram/aura-2-thalia-en"), "tts"),
    ("deepgram/flux-alexis-en", spoken("deepgram/flux-alexis-en"), "tts"),
    ("openai/gpt-4o-mini-tts", spoken("openai/gpt-4o-mini-tts:nova"), "tts"),
    ("groq/canopylabs/orpheus-v1-english", spoken("groq/canopylabs/orpheus-v1-english"), "tts"),
    ("kokoro/kokoro", spoken("local/kokoro"), "tts"),
)


@pytest.mark.parametrize(("model", "run", "modality"), CALLS, ids=[call[0] for call in CALLS])
async def test_calls_are_for_project_and_session(open_place: OpenPlace, model: str, run: Run, modality: str) -> None:
    async with open_place() as place:
        inference.set_project("staging")
        inference.set_session("call-7")
        assert await run("")
        rows = await place.sidecar.rows(at_least=1)
        found = {(row.project, row.session_id, f"{row.provider}/{row.model}", row.modality) for row in rows}
    assert found == {("staging", "call-7", model, modality)}


def test_every_service_is_among_those_called() -> None:
    called = {(kind, model.partition("/")[0]) for model, _, kind in CALLS if not model.startswith("kokoro")}
    assert called == {(kind, name.partition("/")[0]) for kind, services in PIPECAT.items() for name in services}


@pytest.mark.parametrize(
    ("name", "service"), [item for services in PIPECAT.values() for item in services.items()], ids=str
)
def test_services_are_pointed_as_the_table_of_client_lines_says(name: str, service: Service) -> None:
    """Groq's speech service has a variable only; Cartesia's older one wants headers, and is called above."""
    provider, kind = name.partition("/")[0], service.name.rpartition(".")[2]
    if kind in ("GroqTTSService", "CartesiaSTTService"):
        return
    base = f"http://127.0.0.1:8080/{provider}"
    if kind == "AnthropicLLMService":
        assert str(service.pointed(base)["client"].base_url).rstrip("/") == base
        return
    [(argument, value)] = service.pointed(base).items()
    pasted = {line.pasted("http://127.0.0.1:8080", None) for line in LINES}
    like = [line.replace("whisper", provider).replace("openai", provider) for line in pasted]
    assert f'{kind}({argument}="{value}")' in [*pasted, *like]


async def test_auto_and_local_voices_are_on_the_unified_endpoints(
    open_place: OpenPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = """
projects:
  prod:
    agent_keys: [agents-of-prod]
    routing: {rosters: {stt: [openai/whisper-1], llm: [anthropic/claude-haiku-4-5], tts: [kokoro]}}
    providers: {openai: {api_key: k1}, anthropic: {api_key: k2}}
"""
    async with open_place(more) as place:
        monkeypatch.setenv("VOICEGW_AGENT_KEY", "agents-of-prod")
        inference.set_project("prod")
        inference.set_session("call-1")
        assert await understood("auto")("")
        assert await answered("auto")("") == ANSWER
        assert await spoken("auto")("")
        assert await spoken("local/piper")("")
        assert await answering(lambda _: pipecat.LLM("ollama/qwen2.5:3b", unified=True))("")
        rows = await place.sidecar.rows(at_least=5)
    assert {(row.project, row.session_id) for row in rows} == {("prod", "call-1")}
    assert {row.provider for row in rows} == {"openai", "anthropic", "kokoro", "piper", "ollama"}


async def test_groqs_voice_leaves_the_process_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_BASE_URL", "https://elsewhere.example")
    inference.set_project("prod")
    service: Any = pipecat.TTS("groq/canopylabs/orpheus-v1-english")
    assert str(service._client.base_url) == "http://127.0.0.1:8080/p/prod/groq/"
    assert os.environ["GROQ_BASE_URL"] == "https://elsewhere.example"


async def test_headers_of_the_callers_own_go_beside_ours() -> None:
    inference.set_project("prod")
    service: Any = pipecat.STT("cartesia/ink-whisper", extra_headers={"X-Own": "y", "X-VoiceGW-Project": "other"})
    assert service._extra_headers == {"X-Own": "y", "X-VoiceGW-Project": "prod"}


def test_settings_of_the_callers_own_are_kept() -> None:
    from pipecat.services.openai.llm import OpenAILLMService

    settings = OpenAILLMService.Settings(model="another", system_instruction="Be brief.")
    service: Any = pipecat.LLM("openai/gpt-4.1-mini", settings=settings)
    assert (service._settings.model, service._settings.system_instruction) == ("gpt-4.1-mini", "Be brief.")
    assert settings.model == "another"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: pipecat.STT("anthropic/x"), "anthropic does no such work; it has LLM"),
        (lambda: pipecat.TTS("deepgram/aura-2-thalia-en:loud"), "DeepgramTTSService takes no 'loud' behind its model"),
        (lambda: pipecat.LLM("a b"), "model: found 'a b'"),
        (lambda: pipecat.LLM("openai/x", base_url="http://x"), "base_url: calls go to the sidecar here"),
    ],
)
def test_what_cannot_be_made(wrong: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        wrong()

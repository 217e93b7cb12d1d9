"""LiveKit's objects as `inference` makes them: whose they are, and whose calls they make through a real sidecar."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from livekit.agents import llm, stt, tts
from livekit.agents.inference import LLM, STT, TTS

from tests.clients.cases.livekit import answering, listening, recognising, speaking, speaking_whole
from tests.inference.conftest import OpenPlace
from tests.simulator.conftest import ANSWER
from voicegw_sidecar import inference
from voicegw_sidecar.cli.client_lines import LIVEKIT as LINES
from voicegw_sidecar.inference.livekit import LIVEKIT, Plugin

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
KEY = "agents-of-prod-1234567890-abcdefgh"
Run = Callable[[str], Awaitable[object]]


def heard(model: str, **options: Any) -> Run:
    return listening(lambda _: inference.STT(model, **options), flushes="whisper" in model)


def understood(model: str) -> Run:
    return recognising(lambda _: inference.STT(model))


def answered(model: str) -> Run:
    return answering(lambda _: inference.LLM(model))


def spoken(model: str, **options: Any) -> Run:
    return speaking(lambda _: inference.TTS(model, **options))


def spoken_whole(model: str, **options: Any) -> Run:
    return speaking_whole(lambda _: inference.TTS(model, **options))


CALLS: tuple[tuple[str, Run, str], ...] = (
    ("deepgram/nova-3", heard("deepgram/nova-3:en"), "stt"),
    ("deepgram/flux-general-en", heard("deepgram/flux-general-en"), "stt"),
    ("assemblyai/universal-3-5-pro", heard("assemblyai/universal-3-5-pro"), "stt"),
    ("cartesia/ink-2", heard("cartesia/ink-2"), "stt"),
    ("cartesia/ink-whisper", heard("cartesia/ink-whisper"), "stt"),
    ("elevenlabs/scribe_v2_realtime", heard("elevenlabs/scribe_v2_realtime", server_vad={}), "stt"),
    ("openai/whisper-1", understood("openai/whisper-1"), "stt"),
    ("groq/whisper-large-v3-turbo", understood("groq/whisper-large-v3-turbo"), "stt"),
    ("whisper/whisper-large-v3", understood("local/whisper-large-v3"), "stt"),
    ("openai/gpt-4.1-mini", answered("openai/gpt-4.1-mini"), "llm"),
    ("anthropic/claude-haiku-4-5", answered("anthropic/claude-haiku-4-5"), "llm"),
    ("groq/llama-3.3-70b-versatile", answered("groq/llama-3.3-70b-versatile"), "llm"),
    ("ollama/qwen2.5:3b", answered("ollama/qwen2.5:3b"), "llm"),
    ("cartesia/sonic-3", spoken("cartesia/sonic-3:f786b574-daa5-4673-aa0c-cbe3e8534c02"), "tts"),
    ("elevenlabs/eleven_flash_v2_5", spoken("elevenlabs/eleven_flash_v2_5:v", encoding="pcm_24000"), "tts"),
    ("deepgram/aura-2-thalia-en", spoken("deepgram/aura-2-thalia-en"), "tts"),
    ("deepgram/flux-alexis-en", spoken("deepgram/flux-alexis-en"), "tts"),
    ("openai/gpt-4o-mini-tts", spoken_whole("openai/gpt-4o-mini-tts:nova", response_format="pcm"), "tts"),
    ("groq/canopylabs/orpheus-v1-english", spoken_whole("groq/canopylabs/orpheus-v1-english"), "tts"),
    ("kokoro/kokoro", spoken_whole("local/kokoro"), "tts"),
)


@pytest.mark.parametrize(("model", "run", "modality"), CALLS, ids=[call[0] for call in CALLS])
async def test_calls_pass_through_for_project_and_session(
    open_place: OpenPlace, model: str, run: Run, modality: str
) -> None:
    async with open_place() as place:
        inference.set_project("staging")
        inference.set_session("call-7")
        assert await run("")
        rows = await place.sidecar.rows(at_least=1)
        found = {(row.project, row.session_id, f"{row.provider}/{row.model}", row.modality) for row in rows}
    assert found == {("staging", "call-7", model, modality)}


async def test_every_plugin_is_among_those_called() -> None:
    called = {(kind, model.partition("/")[0]) for model, _, kind in CALLS}
    assert called == {(kind, name.partition("/")[0]) for kind, plugins in LIVEKIT.items() for name in plugins}


@pytest.mark.parametrize(
    ("kind", "name", "plugin"), [(kind, *item) for kind, plugins in LIVEKIT.items() for item in plugins.items()]
)
def test_plugins_are_pointed_as_the_table_of_client_lines_says(kind: str, name: str, plugin: Plugin) -> None:
    provider = name.partition("/")[0]
    templates = {line.template.replace(".with_ollama", "") for line in LINES if line.provider == provider}
    assert any(template.startswith(f'{plugin.name}(base_url="{{base}}{plugin.address}"') for template in templates), (
        templates
    )


async def test_auto_and_what_no_plugin_speaks_are_inferences_own_clients(open_place: OpenPlace) -> None:
    more = """
projects:
  prod:
    routing: {rosters: {stt: [deepgram/nova-3], llm: [anthropic/claude-haiku-4-5], tts: [kokoro]}}
    providers: {deepgram: {api_key: k1}, anthropic: {api_key: k2}}
"""
    async with open_place(more) as place:
        inference.set_project("prod")
        inference.set_session("call-1")
        ear, mind, voice = inference.STT(), inference.LLM("auto"), inference.TTS()
        assert (type(ear), type(mind), type(voice)) == (STT, LLM, TTS)
        assert await answering(lambda _: mind)("") == ANSWER
        assert await listening(lambda _: ear)("")
        assert await speaking(lambda _: voice)("")
        assert await speaking(lambda _: inference.TTS("local/piper"))("")
        assert await answering(lambda _: inference.LLM("ollama/qwen2.5:3b", unified=True))("")
        rows = await place.sidecar.rows(at_least=5)
    assert {(row.project, row.session_id) for row in rows} == {("prod", "call-1")}
    assert {row.provider for row in rows} == {"deepgram", "anthropic", "kokoro", "piper", "ollama"}


async def test_a_named_voice_and_language_on_the_unified_endpoints() -> None:
    inference.set_project("prod")
    ear = inference.STT("deepgram/nova-3:en", unified=True)
    voice: Any = inference.TTS("kokoro/kokoro:af_bella", unified=True)
    assert (type(ear), ear.model, voice.model, voice._opts.voice) == (
        STT, "deepgram/nova-3", "kokoro/kokoro", "af_bella",
    )  # fmt: skip
    assert inference.LLM("ollama/qwen2.5:3b", unified=True).model == "ollama/qwen2.5:3b"


async def test_the_agent_key_stands_for_the_provider_key(
    open_place: OpenPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes to the sidecar alone; the provider gets its own."""
    more = """
projects:
  prod:
    agent_keys: [agents-of-prod-1234567890-abcdefgh]
    routing: {rosters: {stt: [deepgram], llm: [openai], tts: [kokoro]}}
    providers: {openai: {api_key: real}}
"""
    async with open_place(more) as place:
        monkeypatch.setenv("VOICEGW_AGENT_KEY", f"{KEY}\n")  # as mounted secrets end
        monkeypatch.setenv("OPENAI_API_KEY", "not-this-one")
        with pytest.raises(ValueError, match="VOICEGW_AGENT_KEY is set, and no project"):
            inference.LLM("auto")
        inference.set_project("prod")
        assert await answered("openai/gpt-4.1-mini")("") == ANSWER
        assert await answered("auto")("") == ANSWER
        assert await answered("ollama/qwen2.5:3b")("")
        assert await answering(lambda _: inference.LLM("ollama/qwen2.5:3b", api_key=KEY))("")
        keys = {entry.headers["authorization"] for entry in place.simulator.ledger.entries("openai.chat")}
    assert keys == {"Bearer real"}


@pytest.mark.parametrize("argument", ["base_url", "client"])
async def test_the_agent_key_goes_to_no_other_address(monkeypatch: pytest.MonkeyPatch, argument: str) -> None:
    monkeypatch.setenv("VOICEGW_AGENT_KEY", KEY)
    inference.set_project("prod")
    for make in (inference.STT, inference.LLM, inference.TTS):
        for model in ("openai/x", "my_vllm/x", "auto"):
            with pytest.raises(ValueError, match=f"{argument}: calls go to the sidecar here") as caught:
                make(model, **{argument: "https://third.example/v1"})
            assert KEY not in str(caught.value)


@pytest.mark.parametrize("key", ["two words", "ключ", "a\nb"])
def test_an_agent_key_that_cannot_be_one_is_not_repeated(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("VOICEGW_AGENT_KEY", key)
    with pytest.raises(ValueError, match="VOICEGW_AGENT_KEY: expected a key") as caught:
        inference.LLM("openai/gpt-4.1-mini")
    assert key not in str(caught.value)


async def test_own_keys_of_the_agent_are_left_to_the_plugin(
    open_place: OpenPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_place() as place:
        monkeypatch.setenv("OPENAI_API_KEY", "agents-own")
        assert await answered("openai/gpt-4.1-mini")("") == ANSWER
        assert await answering(lambda _: inference.LLM("openai/gpt-4.1-mini", api_key="given"))("") == ANSWER
        keys = [entry.headers["authorization"] for entry in place.simulator.ledger.entries("openai.chat")]
    assert keys == ["Bearer agents-own", "Bearer given"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            lambda: inference.STT("anthropic/claude-haiku-4-5"),
            "anthropic has no speech-to-text; it has language models",
        ),
        (lambda: inference.LLM("deepgram/nova-3"), "deepgram has no language models"),
        (lambda: inference.STT("piper/x"), "piper has no speech-to-text; it has text-to-speech"),
        (lambda: inference.TTS("deepgram/aura-2-thalia-en:loud"), "deepgram.TTS takes no 'loud' behind its model"),
        (lambda: inference.TTS("a b"), "model: found 'a b'"),
    ],
)
def test_what_cannot_be_made(wrong: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        wrong()


async def test_a_server_of_ones_own_speaks_openais_protocol(open_place: OpenPlace) -> None:
    inference.set_project("prod")
    made: tuple[stt.STT[Any] | llm.LLM[Any] | tts.TTS[Any], ...] = (
        inference.STT("my_vllm/x"), inference.LLM("my_vllm/x"), inference.TTS("my_vllm/x"))  # fmt: skip
    assert {str(one._client.base_url) for one in made} == {  # type: ignore[union-attr]
        "http://127.0.0.1:8080/p/prod/my_vllm/v1/"
    }

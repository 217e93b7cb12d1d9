"""Which provider serves a call that names one: a provider's model, or a model that one provider lists."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.test_legs import LLM, STT, TTS, asked, by_project, running
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.legs import Legs
from voicegw_sidecar.terms import Modality, RosterEntry


@pytest.fixture
async def legs(tmp_path: Path) -> AsyncIterator[Legs]:
    async with running(tmp_path) as setup:
        yield setup.legs()


@pytest.mark.parametrize(
    ("modality", "wanted", "expected", "variant"),
    [
        (STT, "deepgram/nova-2", "deepgram/nova-2", None),
        (STT, "deepgram/nova-3:en", "deepgram/nova-3", "en"),
        (STT, " deepgram/nova-3 ", "deepgram/nova-3", None),
        (STT, "deepgram", "deepgram/nova-3", None),
        (TTS, "cartesia/sonic-3:694f9389", "cartesia/sonic-3", "694f9389"),
        (TTS, "elevenlabs", "elevenlabs/eleven_flash_v2_5", None),
        (LLM, "ollama/qwen2.5:3b", "ollama/qwen2.5:3b", None),
        (LLM, "groq/openai/gpt-oss-20b", "groq/openai/gpt-oss-20b", None),
        (LLM, "anthropic/claude-of-tomorrow", "anthropic/claude-of-tomorrow", None),
        (LLM, "vllm/llama", "vllm/llama", None),
        (STT, "local/whisper", "whisper/large-v3", None),
        (STT, "local/whisper-large-v3", "whisper/whisper-large-v3", None),
        (STT, "local/whisper-large-v3:de", "whisper/whisper-large-v3", "de"),
        (TTS, "local/kokoro", "kokoro/kokoro", None),
        (TTS, "local/piper", "piper", None),
        (TTS, "local/piper-en_US-lessac-medium", "piper/piper-en_US-lessac-medium", None),
        (TTS, "piper/en_US-lessac-medium", "piper/en_US-lessac-medium", None),
    ],
)
async def test_a_provider_and_its_model_are_served_as_named(
    legs: Legs, modality: Modality, wanted: str, expected: str, variant: str | None
) -> None:
    [leg] = legs.of(by_project("bare"), modality, wanted)
    assert (leg.name, leg.variant) == (expected, variant)


@pytest.mark.parametrize(
    ("modality", "wanted", "expected", "variant"),
    [
        (LLM, "gpt-4.1-mini", "openai/gpt-4.1-mini", None),
        (LLM, "llama", "vllm/llama", None),
        (STT, "nova-3", "deepgram/nova-3", None),
        (STT, "nova-3:en", "deepgram/nova-3", "en"),
        (STT, "whisper-large-v3-turbo", "groq/whisper-large-v3-turbo", None),
        (TTS, "kokoro", "kokoro/kokoro", None),
        (TTS, "gpt-4o-mini-tts:coral", "openai/gpt-4o-mini-tts", "coral"),
    ],
)
async def test_a_bare_model_is_served_by_the_one_that_lists_it(
    legs: Legs, modality: Modality, wanted: str, expected: str, variant: str | None
) -> None:
    [leg] = legs.of(by_project(), modality, wanted)
    assert (leg.name, leg.variant) == (expected, variant)


@pytest.mark.parametrize(
    ("modality", "wanted", "message"),
    [
        (LLM, "nobody/model", "model: found 'nobody/model', but no provider 'nobody'; expected one of anthropic, "),
        (LLM, "gpt-of-tomorrow", "model: found 'gpt-of-tomorrow', which no configured provider lists; expected"),
        (LLM, "claude-haiku-4-5", "model: found 'claude-haiku-4-5', which no configured provider lists; anthropic has"),
        (LLM, "twin", "model: 'twin' is listed by several providers; name one of openai/twin, vllm/twin"),
        (STT, "deepgram/", "model: expected provider, provider/model or provider/model:voice"),
        (STT, "deepgram/nova-3:", "model: expected provider, provider/model or provider/model:voice"),
        (STT, "deepgram:en", "model: expected provider, provider/model or provider/model:voice"),
        (STT, "Deepgram/nova-3", "model: expected provider, provider/model or provider/model:voice"),
        (STT, "deepgram/nova 3", "model: expected provider, provider/model or provider/model:voice"),
        (STT, "local/ears", "model: expected local/whisper-…, local/kokoro or local/piper"),
        (STT, "local", "model: found 'local', which no configured provider lists"),
        (TTS, "anthropic", "model: anthropic has no usual model for tts; name one as anthropic/<model>"),
        (LLM, "x" * 1000, "model: found 'xxx"),
        (LLM, "nobody/" + "x" * 1000, "model: expected provider, provider/model or provider/model:voice"),
    ],
)
async def test_a_name_that_means_nothing_is_refused(legs: Legs, modality: Modality, wanted: str, message: str) -> None:
    assert not legs.is_auto(wanted)
    with pytest.raises(BadRequest) as caught:
        legs.of(by_project(), modality, wanted)
    assert caught.value.message.startswith(message)
    assert len(caught.value.message) < 500


async def test_what_can_be_named_is_what_is_configured(legs: Legs) -> None:
    found = legs.names("acme")
    assert found[0] == "auto"
    assert len(found) == len(set(found))
    assert {name.partition("/")[0] for name in found[1:]} == {"openai", "groq", "deepgram", "kokoro"}
    for modality, name in ((LLM, "openai/gpt-4.1-mini"), (STT, "deepgram/nova-3"), (TTS, "kokoro/kokoro")):
        assert name in found
        assert asked(legs, by_project(), modality, name) == name


async def test_a_stand_in_is_what_nobody_chose(legs: Legs) -> None:
    leg = legs.stand_in(LLM, RosterEntry("ollama"))
    assert (leg.name, leg.is_stand_in, leg.is_substitute) == ("ollama/qwen2.5:3b", True, True)


@pytest.mark.parametrize(("provider", "expected"), [("vllm", True), ("openai", False), ("ollama", False)])
async def test_a_server_that_the_configuration_declares_is_marked(legs: Legs, provider: str, expected: bool) -> None:
    assert legs.leg(LLM, RosterEntry(provider, "m")).is_declared is expected

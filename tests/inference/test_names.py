"""Model names taken apart."""

from __future__ import annotations

import pytest

from voicegw_sidecar.config.entry import RESERVED, Entry
from voicegw_sidecar.inference import scope
from voicegw_sidecar.inference.names import Kind, Model, read_model
from voicegw_sidecar.terms import Modality

NAMES: tuple[tuple[Kind, str, Model], ...] = (
    ("stt", "deepgram/nova-3", Model("deepgram", "nova-3")),
    ("stt", "deepgram/nova-3:en-GB", Model("deepgram", "nova-3", "en-GB")),
    ("stt", "local/whisper-large-v3", Model("whisper", "whisper-large-v3")),
    ("stt", "local/whisper", Model("whisper")),
    ("llm", "openai/gpt-4.1-mini", Model("openai", "gpt-4.1-mini")),
    ("llm", "ollama/qwen2.5:3b", Model("ollama", "qwen2.5:3b")),
    ("llm", "groq/openai/gpt-oss-20b", Model("groq", "openai/gpt-oss-20b")),
    ("tts", "cartesia/sonic-3", Model("cartesia", "sonic-3")),
    ("tts", "cartesia/sonic-3:f786b574", Model("cartesia", "sonic-3", "f786b574")),
    ("tts", "local/kokoro", Model("kokoro")),
    ("tts", "deepgram", Model("deepgram")),
)


@pytest.mark.parametrize(("kind", "text", "model"), NAMES)
def test_names_are_read_as_the_sidecar_reads_them(kind: Kind, text: str, model: Model) -> None:
    assert read_model(kind, text) == model
    entry = Entry(Modality(kind)).read(text)
    assert (entry.provider, entry.model, entry.variant) == model


def test_reserved_words_are_those_of_the_sidecar() -> None:
    assert scope.RESERVED == RESERVED


@pytest.mark.parametrize(
    ("kind", "text"),
    [("stt", ""), ("stt", "deepgram/"), ("tts", "cartesia/sonic-3:"), ("llm", "Open AI/x"), ("llm", "open ai/x"),
     ("stt", "local/deepgram"), ("llm", "s/x"), ("llm", "p/x"), ("llm", "v1/x"),
     ("llm", "openai/a b"), ("llm", "openai/" + "x" * 300), ("llm", "openai/\n")],
)  # fmt: skip
def test_what_is_no_name(kind: Kind, text: str) -> None:
    with pytest.raises(ValueError, match="model: found") as caught:
        read_model(kind, text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200

"""What a leg is called, and whether the caller's own request goes on it."""

from __future__ import annotations

import pytest

from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.providers import ALL, registry
from voicegw_sidecar.terms import Modality


def leg(provider: str, model: str, *, is_declared: bool = False) -> Leg:
    return Leg(Modality.LLM, registry((provider,))[provider], model, is_declared=is_declared)


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [("openai", "gpt-4.1-mini", "openai/gpt-4.1-mini"), ("groq", "openai/gpt-oss-20b", "groq/openai/gpt-oss-20b"),
     ("piper", "", "piper")],
)  # fmt: skip
def test_a_leg_is_called_by_its_provider_and_model(provider: str, model: str, expected: str) -> None:
    assert leg(provider, model).name == expected


@pytest.mark.parametrize("provider", [provider.id for provider in ALL])
def test_of_the_built_in_ones_openai_alone_gets_the_callers_own_request(provider: str) -> None:
    assert leg(provider, "m").is_openai is (provider == "openai")


def test_a_declared_server_gets_it_too() -> None:
    assert leg("vllm", "m", is_declared=True).is_openai


def test_a_leg_is_plain_unless_something_is_said_of_it() -> None:
    found = leg("openai", "m")
    assert (found.variant, found.patience_ms) == (None, None)
    assert (found.is_stand_in, found.is_substitute, found.is_declared) == (False, False, False)

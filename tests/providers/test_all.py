"""Every provider of the program has what its relaying, metering and pricing need."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from voice_prices import data

from tests.replay import captures
from voicegw_sidecar.dialects.base import Dialect
from voicegw_sidecar.providers import ALL, BY_ID, AuthStyle, Endpoint, Provider, registry
from voicegw_sidecar.wire.body import error_code
from voicegw_sidecar.wire.frames import RequestHead

CATALOGUE = {provider.id for provider in data.providers}
SHARED = ("openai_chat", "openai_audio")
OWN = [(provider, endpoint) for provider in ALL for endpoint in provider.endpoints]
# an exchange that goes over several connections is no capture: tests/test_jobs.py
OWN = [pair for pair in OWN if pair[1].reads_job is None and pair[1].path != "/v2/transcript"]
OWN = [pair for pair in OWN if pair[0].id == "openai" or not pair[1].dialect.__module__.endswith(SHARED)]
REPLAYED = {capture.endpoint for capture in captures()}


@pytest.mark.parametrize(
    ("provider", "endpoint"), OWN, ids=lambda value: getattr(value, "path", getattr(value, "id", ""))
)
def test_every_endpoint_has_a_capture(provider: Provider, endpoint: Endpoint) -> None:
    assert endpoint in REPLAYED


@pytest.mark.parametrize("provider", ALL, ids=lambda provider: provider.id)
def test_refusals_are_json_that_names_its_code(provider: Provider) -> None:
    body = provider.errors.encode(402, "budget_exceeded", 'The budget of "acme" is spent: 5 €.').body
    decoded = msgspec.json.decode(body)
    assert isinstance(decoded, dict)
    assert "5 €" in str(decoded)
    assert error_code(body) in ("budget_exceeded", "insufficient_quota", "billing_error", "quota_exceeded", None)


@pytest.mark.parametrize("provider", ALL, ids=lambda provider: provider.id)
def test_provider_is_whole(provider: Provider) -> None:
    assert isinstance(provider.auth, AuthStyle)
    assert provider.base_url.startswith("http://localhost" if provider.is_local else "https://")
    assert not provider.base_url.endswith("/")
    assert (provider.catalogue_id is None) == provider.is_local
    assert provider.catalogue_id is None or provider.catalogue_id in CATALOGUE
    for endpoint in provider.endpoints:
        dialect: Dialect = endpoint.dialect(RequestHead(endpoint.method, endpoint.path))
        assert dialect is not None
        assert provider.endpoint(endpoint.method, endpoint.path, endpoint.is_socket) is endpoint
        assert provider.endpoint("DELETE", endpoint.path, is_socket=False) is None


def test_ids_and_root_paths_are_unique() -> None:
    assert len(BY_ID) == len(ALL)
    paths = [path for provider in ALL for path in provider.root_paths]
    assert len(paths) == len(set(paths))


def test_registry_adds_compatible_servers_and_keeps_the_known_ones() -> None:
    found = registry(["my_vllm", "openai"], ["my_vllm"])
    assert found["openai"] is BY_ID["openai"]
    assert found["my_vllm"].catalogue_id is None
    assert found["my_vllm"].endpoint("POST", "/v1/chat/completions", is_socket=False) is not None


def test_segment_of_a_path_pattern_is_one_segment() -> None:
    endpoint = Endpoint("POST", "/v1/voice/{}/stream", OWN[0][1].modality, OWN[0][1].dialect)
    assert endpoint.matches("POST", "/v1/voice/a.b/stream", is_socket=False)
    assert not endpoint.matches("POST", "/v1/voice/a/b/stream", is_socket=False)
    assert not endpoint.matches("GET", "/v1/voice/a/stream", is_socket=False)


@pytest.mark.parametrize(
    ("model", "language", "expected"),
    [
        ("nova-3", "multi", "nova-3-multilingual"),
        ("nova-3-general", "multi", "nova-3-multilingual"),
        ("nova-3", "en", "nova-3"),
        ("nova-2", "multi", "nova-2"),
    ],
)
def test_deepgram_listen_is_priced_by_its_language(model: str, language: str, expected: str) -> None:
    endpoint = BY_ID["deepgram"].endpoint("GET", "/v1/listen", is_socket=True)
    assert endpoint is not None
    assert endpoint.catalogue_model is not None
    head = RequestHead("GET", "/v1/listen", (("model", model), ("language", language)))
    assert endpoint.catalogue_model(model, head) == expected


def test_the_documentation_lists_every_default_model_and_baseline() -> None:
    page = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")
    section = page.partition("## Default models")[2].partition("\n## ")[0]
    for provider in ALL:
        [line] = [line for line in section.splitlines() if line.startswith(f"| `{provider.id}` |")]
        for _, model in provider.default_models:
            assert f"`{model}`" in line
        for baseline in provider.baselines:
            assert f"{baseline.ms} ms" in line
            assert baseline.source == "curated" or "http" in baseline.source or "pipecat" in baseline.source

from __future__ import annotations

import pytest

from voicegw_sidecar.config import Catalog, ProviderSettings, Timeouts, accent_for
from voicegw_sidecar.config.schema import Dialect
from voicegw_sidecar.errors import UnknownProject, UnknownProvider
from voicegw_sidecar.terms import Secret

TEXT = """
default_project: acme
projects:
  acme:
    name: Acme Voice
    providers:
      openai: {api_key: acme-key, base_url: https://eu.openai.example/, timeouts: {idle_s: null}}
      deepgram: {include_usage: true, timeouts: {connect_s: 2}}
      own_vllm: {dialect: openai, base_url: http://gpu:8000}
  beta: {}
providers:
  openai: {api_key: top-key, timeouts: {idle_s: 30}}
  deepgram: {api_key: dg-key, include_usage: false, timeouts: {connect_s: 5, first_byte_s: 20}}
  my_vllm: {dialect: openai, base_url: http://localhost:9000/prefix/}
"""


@pytest.fixture
def catalog(read, builtin) -> Catalog:
    config, errors = read(TEXT)
    assert errors == []
    return Catalog(config, builtin)


def test_projects_are_looked_up_by_id(catalog):
    assert catalog.project("acme").title == "Acme Voice"
    assert catalog.project("beta").title == "beta"
    assert catalog.project(catalog.default_project).id == "acme"
    assert list(catalog.projects) == ["default", "acme", "beta"]


def test_the_default_project_exists_without_configuration(read, builtin):
    catalog = Catalog(read("")[0], builtin)

    assert catalog.default_project == "default"
    assert catalog.project("default").daily_budget_nanousd is None


def test_a_configured_project_may_be_called_default(read, builtin):
    catalog = Catalog(read("projects: {default: {name: Mine}}")[0], builtin)

    assert catalog.project("default").title == "Mine"


def test_an_unknown_project_is_refused(catalog):
    with pytest.raises(UnknownProject, match="'nobody'"):
        catalog.project("nobody")
    with pytest.raises(UnknownProject):
        catalog.provider_settings("nobody", "openai")


@pytest.mark.parametrize(
    ("project", "provider", "expected"),
    [
        (
            "acme",
            "openai",
            ProviderSettings("openai", "https://eu.openai.example", Secret("acme-key"), timeouts=Timeouts()),
        ),
        (
            "beta",
            "openai",
            ProviderSettings("openai", "https://api.openai.example", Secret("top-key"), timeouts=Timeouts(idle_s=30)),
        ),
        (
            "acme",
            "deepgram",
            ProviderSettings(
                "deepgram",
                "https://api.deepgram.example",
                Secret("dg-key"),
                include_usage=True,
                timeouts=Timeouts(connect_s=2, first_byte_s=20),
            ),
        ),
        (
            "default",
            "deepgram",
            ProviderSettings(
                "deepgram",
                "https://api.deepgram.example",
                Secret("dg-key"),
                include_usage=False,
                timeouts=Timeouts(connect_s=5, first_byte_s=20),
            ),
        ),
        ("acme", "kokoro", ProviderSettings("kokoro", "http://localhost/kokoro", is_local=True)),
        ("beta", "my_vllm", ProviderSettings("my_vllm", "http://localhost:9000/prefix", dialect=Dialect.OPENAI)),
        ("acme", "own_vllm", ProviderSettings("own_vllm", "http://gpu:8000", dialect=Dialect.OPENAI)),
    ],
)
def test_the_nearest_level_that_sets_something_wins(project, provider, expected, catalog):
    assert catalog.provider_settings(project, provider) == expected


def test_a_provider_of_another_project_is_unknown(catalog):
    with pytest.raises(UnknownProvider, match="'own_vllm'"):
        catalog.provider_settings("beta", "own_vllm")
    assert "own_vllm" in catalog.provider_ids("acme")
    assert "own_vllm" not in catalog.provider_ids("beta")


def test_no_key_can_be_printed(catalog):
    text = repr(catalog.provider_settings("acme", "openai")) + repr(catalog.config) + str(catalog.config.providers)

    assert "acme-key" not in text
    assert "top-key" not in text


@pytest.mark.parametrize(
    ("tags", "accent"),
    [
        (["production", "staging"], "green"),
        (["PreProd"], "green"),
        (["Staging"], "yellow"),
        (["development"], "blue"),
        (["load-test"], "blue"),
        (["demo", "prod"], "pink"),
        ([], "pink"),
    ],
)
def test_the_first_tag_decides_the_accent(tags, accent):
    assert accent_for(tags) == accent

"""What of a changed configuration may be shown: everything but keys."""

from __future__ import annotations

from typing import Any

from tests.config.test_managed import config_of
from voicegw_sidecar.config.visible import differences


def told(old: dict[str, Any], new: dict[str, Any]) -> tuple[dict[str, object], dict[str, object]]:
    return differences(config_of(old), config_of(new))


def test_only_what_differs_is_told_by_its_dotted_key() -> None:
    before, after = told(
        {"projects": {"acme": {"daily_budget": 25, "routing": {"rosters": {"stt": ["deepgram"]}}}}},
        {"projects": {"acme": {"daily_budget": 30, "routing": {"rosters": {"stt": ["deepgram", "whisper"]}}}}},
    )
    assert before == {"projects.acme.daily_budget": 25.0, "projects.acme.routing.rosters.stt": ["deepgram"]}
    assert after == {"projects.acme.daily_budget": 30.0, "projects.acme.routing.rosters.stt": ["deepgram", "whisper"]}


def test_what_comes_and_goes_stands_on_one_side_only() -> None:
    before, after = told({}, {"projects": {"acme": {"name": "Acme"}}})
    assert before == {}
    assert after["projects.acme.name"] == "Acme"
    assert told({}, {}) == ({}, {})


def test_a_key_is_never_shown_but_that_it_changed_is() -> None:
    before, after = told(
        {"auth": {"api_keys": ["canary-1"]}, "providers": {"openai": {"api_key": "canary-2"}}},
        {"auth": {"api_keys": ["canary-3"]}, "providers": {"openai": {"api_key": "canary-4"}},
         "alerts": {"webhook": "https://hooks.test/canary-5"}},
    )  # fmt: skip
    assert "canary" not in f"{before}{after}"
    assert after["providers.openai.api_key"] == "another key"
    assert before["auth.api_keys"] == ["a key"]
    assert after["alerts.webhook"] == "a key"


def test_below_an_address_there_may_be_a_key() -> None:
    _, after = told({}, {"providers": {"openai": {"base_url": "https://gw.test:8443/canary-1/v1"}},
                         "otlp": {"endpoint": "http://collector.test/canary-2"}})  # fmt: skip
    assert "canary" not in str(after)
    assert after["providers.openai.base_url"] == "https://gw.test:8443/…"

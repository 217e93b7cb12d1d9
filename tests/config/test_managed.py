"""Projects made at run time: checked as the file's are, and unable to hold a key or to send one elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from voicegw_sidecar.config import BuiltinProvider, Catalog, Config, check_document, read_managed

BUILTIN = {
    "openai": BuiltinProvider("https://api.openai.com", is_local=False),
    "deepgram": BuiltinProvider("https://api.deepgram.com", is_local=False),
    "whisper": BuiltinProvider("http://localhost:8000", is_local=True),
}
ENVIRON = {"ACME_KEY": "sk-canary", "AGENT_KEY": "agent-canary-0123456789"}


def config_of(document: dict[str, Any] | None = None) -> Config:
    config, errors = check_document(document or {}, BUILTIN)
    assert errors == []
    return config


def read(settings: dict[str, Any], config: Config | None = None, project_id: str = "acme") -> tuple[Any, list[str]]:
    project, errors = read_managed(project_id, settings, config or config_of(), BUILTIN, ENVIRON)
    return project, [error.message for error in errors]


def test_a_whole_project_is_read_as_the_files_are() -> None:
    project, errors = read({
        "name": "Acme", "daily_budget": 2.5, "budget_action": "block", "tags": ["demo"],
        "providers": {"openai": {"api_key_env": "ACME_KEY", "timeouts": {"connect_s": 3}}},
        "agent_key_envs": ["AGENT_KEY"],
        "routing": {"budget_ms": 900, "rosters": {"stt": ["deepgram"], "llm": ["openai/gpt-4.1-mini"]}},
        "throttle_to": {"stt": "whisper"},
    })  # fmt: skip
    assert errors == []
    assert (project.id, project.title, project.daily_budget_nanousd, project.is_managed) == (
        "acme",
        "Acme",
        2_500_000_000,
        True,
    )
    assert project.providers["openai"].api_key.reveal() == "sk-canary"
    assert project.providers["openai"].timeouts.connect_s == 3
    assert [key.reveal() for key in project.agent_keys] == ["agent-canary-0123456789"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"budget_ms": 1}, "projects.acme.budget_ms: unknown key"),
        ({"routing": {"budget_ms": "fast"}}, "projects.acme.routing.budget_ms: expected a whole number"),
        ({"daily_budget": "2.00"}, "projects.acme.daily_budget: expected a number of US dollars"),
        ({"daily_budget": -1}, "projects.acme.daily_budget"),
        ({"budget_action": "stop"}, "projects.acme.budget_action: expected warn, throttle or block"),
        ({"routing": {"rosters": {"llm": ["opnai"]}}}, "did you mean openai"),
        ({"providers": {"openai": {"api_key": "sk-literal"}}}, "api_key: expected none; name a variable"),
        ({"providers": {"openai": {"api_key_env": "NOT_SET"}}}, "the environment variable NOT_SET is not set"),
        ({"providers": {"openai": {"api_key_env": "sk-not a name"}}}, "expected the name of an environment variable"),
        ({"agent_keys": ["agent-literal-012345"]}, "projects.acme.agent_keys: expected none; name variables"),
        ({"agent_key_envs": ["NOT_SET"]}, "expected the variable NOT_SET to hold a key"),
        ({"branding": {"logo": "/etc/passwd"}}, "projects.acme.branding.logo: expected none; upload"),
        ({"providers": {"openai": {"api_key_env": "ACME_KEY", "base_url": "http://evil.test"}}}, "no admin key"),
        ({"throttle_to": {"llm": "openai"}}, "expected a local provider"),
        ({"providers": []}, "projects.acme.providers: expected a mapping"),
    ],
)  # fmt: skip
def test_a_fault_is_named_and_no_key_is_repeated(settings: dict[str, Any], told: str) -> None:
    _, errors = read(settings)
    assert told in "\n".join(errors)
    for canary in ("sk-literal", "agent-literal", "sk-canary", "agent-canary", "sk-not a name"):
        assert canary not in "\n".join(errors)


@pytest.mark.parametrize("project_id", ["Acme", "a.b", "../x", "", "a" * 65, "ünïcode", "a/b", "-a"])
def test_ids_that_could_mean_something_else_are_refused(project_id: str) -> None:
    assert read({}, project_id=project_id)[1]


def test_a_substitution_is_text_and_never_a_value_of_the_environment() -> None:
    project, errors = read({"name": "${ACME_KEY}", "description": "${"})
    assert (project.name, project.description, errors) == ("${ACME_KEY}", "${", [])


def test_what_the_file_says_is_known() -> None:
    config = config_of({
        "providers": {"my_vllm": {"dialect": "openai", "base_url": "http://localhost:9"}},
        "projects": {"globex": {"agent_keys": ["agent-canary-0123456789"]}},
        "cost_tracking": {"enabled": False},
    })  # fmt: skip
    assert read({"routing": {"rosters": {"llm": ["my_vllm"]}}}, config)[1] == []
    assert "a key" in read({"agent_key_envs": ["AGENT_KEY"]}, config)[1][0] or "got one that" in read(
        {"agent_key_envs": ["AGENT_KEY"]}, config)[1][0]  # fmt: skip
    assert "a budget cannot be kept" in read({"daily_budget": 1, "budget_action": "block"}, config)[1][0]


def test_an_address_of_its_own_is_sent_no_key_of_the_file() -> None:
    config = config_of({"providers": {"openai": {"api_key": "sk-of-the-file"}}, "auth": {"api_keys": ["admin-key"]}})
    project, errors = read({"providers": {"openai": {"base_url": "http://127.0.0.1:9"}}}, config)
    assert errors == []
    assert Catalog(config, BUILTIN, [project]).provider_settings("acme", "openai").api_key is None
    plain, _ = read({}, config)
    key = Catalog(config, BUILTIN, [plain]).provider_settings("acme", "openai").api_key
    assert key is not None
    assert key.reveal() == "sk-of-the-file"


@pytest.mark.parametrize(
    ("file", "entry", "refused"),
    [
        ({}, {"openai": {"base_url": "http://127.0.0.1:9"}}, True),  # where an agent's own key would go
        ({}, {"whisper": {"api_key_env": "ACME_KEY"}}, True),  # a port that any program may listen on
        ({"whisper": {}}, {"whisper": {"api_key_env": "ACME_KEY"}}, True),
        ({"whisper": {"base_url": "http://127.0.0.1:7"}}, {"whisper": {"api_key_env": "ACME_KEY"}}, False),
        ({"openai": {"base_url": "http://127.0.0.1:7"}}, {"openai": {"api_key_env": "ACME_KEY"}}, False),
        ({}, {"openai": {"api_key_env": "ACME_KEY"}}, False),
        ({}, {"mine": {"dialect": "openai", "base_url": "http://127.0.0.1:7"}}, False),
        ({}, {"mine": {"dialect": "openai", "base_url": "http://127.0.0.1:7", "api_key_env": "ACME_KEY"}}, True),
        ({"mine": {"dialect": "openai", "base_url": "http://gpu.lan"}}, {"mine": {"base_url": "http://x.test"}}, True),
    ],
)
def test_without_an_admin_key_no_key_goes_to_an_address_of_the_callers_choice(
    file: dict[str, Any], entry: dict[str, Any], refused: bool
) -> None:
    _, errors = read({"providers": entry}, config_of({"providers": file}))
    assert bool(errors) is refused, errors
    assert read({"providers": entry}, config_of({"providers": file, "auth": {"api_keys": ["admin-key"]}}))[1] == []


def test_more_entries_than_a_project_needs_are_refused_before_they_are_looked_at() -> None:
    for settings in (
        {"tags": ["x"] * 65}, {f"key{number}": 1 for number in range(65)},
        {"providers": {f"bad{number}": {} for number in range(5000)}},
        {"routing": {"rosters": {"llm": [f"bad{number}" for number in range(7000)]}}},
    ):  # fmt: skip
        _, errors = read(settings)
        assert len(errors) == 1
        assert "expected at most 64 entries" in errors[0]


def test_with_an_admin_key_whoever_has_it_may_choose_both() -> None:
    config = config_of({"auth": {"api_keys": ["admin-key"]}})
    settings = {"providers": {"openai": {"base_url": "http://127.0.0.1:9", "api_key_env": "ACME_KEY"}}}
    assert read(settings, config)[1] == []


def test_the_files_project_is_in_force_where_both_have_one() -> None:
    config = config_of({"projects": {"acme": {"name": "Of the file"}}})
    project, _ = read({"name": "Of the database"}, config_of())
    catalog = Catalog(config, BUILTIN, [project])
    assert catalog.project("acme").name == "Of the file"
    assert [*catalog.projects] == ["default", "acme"]

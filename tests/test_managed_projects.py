"""Rows of managed projects beside a configuration, and the merge patch of RFC 7396."""

from __future__ import annotations

from typing import Any

import pytest

from tests.config.test_managed import config_of
from voicegw_sidecar.managed_projects import judge, merged, settings_of, written
from voicegw_sidecar.store.operator_records import ManagedRow


def row(project_id: str, settings: str) -> ManagedRow:
    return ManagedRow(project_id, settings, 1, 1)


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [  # the examples of RFC 7396, appendix A, that are about objects
        ({"a": "b"}, {"a": "c"}, {"a": "c"}), ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}), ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}), ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}), ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}), ({"a": "foo"}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)  # fmt: skip
def test_a_merge_patch(target: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]) -> None:
    before = written(target)
    assert merged(target, patch) == result
    assert written(target) == before


def test_what_contradicts_the_file_is_not_in_force_and_the_rest_is() -> None:
    config = config_of({"projects": {"acme": {}}})
    rows = [
        row("acme", "{}"),
        row("globex", '{"name":"G"}'),
        row("gone", '{"routing":{"rosters":{"llm":["my_vllm"]}}}'),
    ]
    judged = judge(rows, config, {})
    assert [project.id for project in judged.projects] == ["globex"]
    assert judged.shadowed == ["acme"]
    assert "unknown provider my_vllm" in judged.faults["gone"]


def test_two_projects_cannot_have_one_agent_key() -> None:
    rows = [row("one", '{"agent_key_envs":["KEY"]}'), row("two", '{"agent_key_envs":["KEY"]}')]
    judged = judge(rows, config_of(), {"KEY": "agent-key-0123456789"})
    assert [project.id for project in judged.projects] == ["one"]
    assert "two" in judged.faults


@pytest.mark.parametrize("settings", ["not json", "[]", "1", "", "[" * 100_000, "\ufffd"])
def test_a_row_that_no_program_of_ours_wrote_is_a_fault_and_no_end(settings: str) -> None:
    assert settings_of(row("odd", settings)) == {"settings": "unreadable"}
    assert "odd" in judge([row("odd", settings)], config_of(), {}).faults

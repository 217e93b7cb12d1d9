"""What the API says that a setting may be is what the configuration's own check takes."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voicegw_sidecar.addressing import is_session_id
from voicegw_sidecar.api.body import checked
from voicegw_sidecar.api.shapes import SESSION_ID, brand_changes, entry_schema, new_project, of_kind, project_patch
from voicegw_sidecar.api.shares import WantedShare
from voicegw_sidecar.config import read_managed
from voicegw_sidecar.config.entry import Entry, ProjectId, ProviderId
from voicegw_sidecar.config.kind import Budget, EnvName, Maybe, Mismatch, OneOf, Seconds, Text, Whole, YesNo
from voicegw_sidecar.config.schema import ACCENT_COLOR, PRODUCT_NAME, Config
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.settings import BUILTIN
from voicegw_sidecar.terms import ROUTED, BudgetAction, Modality

KINDS: list[Any] = [
    PRODUCT_NAME, ACCENT_COLOR, Text(0, 128), Text(0, 20, multiline=True), Whole("a number", 1, 3600), Budget(),
    Seconds(above_zero=True), Seconds(above_zero=False), Maybe(Seconds(above_zero=True)), YesNo(), EnvName(),
    OneOf(BudgetAction), Maybe(ACCENT_COLOR), Maybe(Budget()), ProjectId(), ProviderId(),
    *(Entry(modality) for modality in ROUTED), Maybe(Entry(Modality.LLM)),
]  # fmt: skip
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 4000), st.floats(0, 90_000).map(lambda number: round(number, 2)),
    st.text(max_size=24), st.text("ab/:- \n\tlocalwhisper", max_size=14), st.text("#aF0", max_size=8),
    st.sampled_from(["warn", "block", "groq", "local/kokoro", "local/piper:x", "v1", "deepgram/nova-3:en", "A_KEY"]),
)  # fmt: skip


def is_as_described(schema: Any, value: object) -> bool:
    return jsonschema_rs.Draft202012Validator(schema).is_valid(value)


def is_taken(kind: Any, value: object) -> bool:
    try:
        kind.read(value)
    except Mismatch:
        return False
    return True


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: type(kind).__name__)
@given(value=VALUES)
@example(0)
@example("")
@example("a\n")
@example("x/:y")
@example("x/y:")
@example("x/::y")
@example("local")
@example("local/whisper-tiny:en")
def test_a_kind_takes_what_it_is_described_with(kind: Any, value: object) -> None:
    if isinstance(value, float) and value.is_integer():
        return  # JSON schema takes 7.0 for a whole number, the file does not
    assert is_taken(kind, value) == is_as_described(of_kind(kind), value), value


@given(st.one_of(st.text(max_size=70), st.text("aZ9_.:-", max_size=70)))
def test_a_session_id_is_one_by_the_same_words(text: str) -> None:
    assert is_session_id(text) == is_as_described(SESSION_ID, text)


def test_settings_that_only_the_file_may_have_are_not_described() -> None:
    for shape in (new_project(), project_patch()):
        text = str(shape)
        assert "'agent_key_envs'" in text
        assert not re.search(r"'(agent_keys|api_key|logo|id|is_managed)':", text)
    assert set(brand_changes()["properties"]) == {"product_name", "accent_color", "logo_url"}


@pytest.mark.parametrize(
    ("settings", "is_sound"),
    [
        ({}, True), ({"routing": None, "tags": None, "providers": {"groq": None}}, True),
        ({"providers": {"groq": {"api_key_env": None, "base_url": ""}}}, True),
        ({"routing": {"rosters": {"llm": ["groq", "openai/gpt-4.1-mini"]}}}, True),
        ({"name": None}, False), ({"tags": ["t"] * 65}, False), ({"tags": [""]}, False), ({"titles": "x"}, False),
        ({"routing": {"budget_ms": "fast"}}, False), ({"providers": {"v1": {}}}, False),
        ({"providers": {"groq": {"api_key_env": "not a name"}}}, False), ({"daily_budget": -1}, False),
        ({"agent_keys": ["key"]}, False), ({"branding": {"logo": "x.png"}}, False), ({"is_managed": True}, False),
    ],
)  # fmt: skip
def test_settings_are_sound_by_the_description_as_by_the_check(settings: dict[str, Any], is_sound: bool) -> None:
    _, errors = read_managed("made", settings, Config(), BUILTIN, {})
    assert (errors == []) == is_sound
    assert is_as_described(new_project(), {"project_id": "made", **settings}) == is_sound


def test_a_patch_may_remove_anything_but_what_is_in_a_list() -> None:
    sound = {"name": None, "routing": {"budget_ms": None, "rosters": None}, "providers": {"groq": {"timeouts": None}}}
    assert is_as_described(project_patch(), sound)
    assert not is_as_described(project_patch(), {"tags": [None]})
    assert not is_as_described(new_project(), {"project_id": "x", "routing": {"budget_ms": None}})


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "body: expected project"), ({"project": None}, "project: found null, expected text"),
        ({"project": "x", "days": None}, "days: found null, expected a whole number"),
        ({"project": "x", "days": 1.5}, "days: found a number, expected a whole number"),
        ({"project": "x", "days": 0}, "days: found 0, expected a whole number from 1 to 3650"),
        ({"project": "x", "days": 1e300}, "days: found a very large number, expected a whole number from 1 to 3650"),
        (
            {"project": "x", "label": "a" * 121},
            f"label: found {'a' * 64!r}, expected at most 120 characters on one line",
        ),
        ({"project": "x", "day": 3}, "day: unknown field, expected project or days or label; did you mean days?"),
    ],
)  # fmt: skip
def test_a_body_is_refused_by_its_first_faulty_field(body: dict[str, Any], told: str) -> None:
    with pytest.raises(BadRequest) as refused:
        checked(body, WantedShare)
    assert refused.value.message == told


def test_a_whole_number_is_one_however_it_is_written() -> None:
    assert checked({"project": "x", "days": 7.0}, WantedShare) == WantedShare("x", 7)


def test_every_modality_has_its_own_entries() -> None:
    assert len({str(entry_schema(modality)["pattern"]) for modality in ROUTED}) == 2

"""Which variables ``run`` sets for an agent, which it leaves alone, and what the agent's environment is else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.test_run import CANARY, configured
from voicegw_sidecar.cli.run_sidecar import outer_environment
from voicegw_sidecar.cli.run_variables import Here, project_named, variables
from voicegw_sidecar.settings import catalog_of, load_settings


def place(folder: Path, more: str, project: str | None = None, address: str = "http://127.0.0.1:8080") -> Here:
    configured(folder, more)
    catalog = catalog_of(load_settings(str(folder / "voicegw.yaml"), {"HOME": str(folder)}).config)
    return Here(address, project_named(catalog, project), catalog)


def set_by(here: Here, **environ: str) -> dict[str, str | None]:
    return {variable.name: variable.value for variable in variables(here, environ)}


def moved_by(here: Here, **environ: str) -> dict[str, str | None]:
    """The variables that move a vendor's calls; those of the sidecar's own client move none by themselves."""
    return {name: value for name, value in set_by(here, **environ).items() if not name.startswith("VOICEGW_")}


KEYED = "providers: {deepgram: {api_key: d}, openai: {api_key: o}, cartesia: {api_key: c}}\n"


def test_the_project_is_in_the_path_where_one_is_chosen_or_configured(tmp_path: Path) -> None:
    for more, chosen, path in (
        ("", None, ""), ("", "default", ""), ("projects: {acme: {}}", "acme", "/p/acme"),
        ("default_project: acme\nprojects: {acme: {}}", None, "/p/acme"),
        ("default_project: acme\nprojects: {acme: {}}", "default", "/p/default"),
    ):  # fmt: skip
        found = set_by(place(tmp_path, more, chosen))
        assert found["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:8080{path}/anthropic"


def test_a_variable_that_points_elsewhere_is_left_alone(tmp_path: Path) -> None:
    here = place(tmp_path, KEYED)
    assert set_by(here, OPENAI_BASE_URL="https://proxy.example.com/v1")["OPENAI_BASE_URL"] is None
    ours = "http://127.0.0.1:8080/openai/v1"
    for found in ("", "https://api.openai.com/v1", "https://api.openai.com/v1/", ours):
        assert set_by(here, OPENAI_BASE_URL=found)["OPENAI_BASE_URL"] == ours
    assert set_by(here, LIVEKIT_INFERENCE_URL="https://example.com/v1")["LIVEKIT_INFERENCE_URL"] is None
    [left] = [one for one in variables(here, {"GROQ_BASE_URL": f"http://user:{CANARY}@x"}) if one.value is None]
    assert (left.name, CANARY in left.why_not) == ("GROQ_BASE_URL", False)


def test_our_own_client_is_told_where_the_sidecar_is_and_who_pays(tmp_path: Path) -> None:
    here = place(tmp_path, "projects: {acme: {}}", "acme", address="http://127.0.0.1:9000")
    found = set_by(here)
    assert (found["VOICEGW_URL"], found["VOICEGW_PROJECT"]) == ("http://127.0.0.1:9000", "acme")
    assert set_by(here, VOICEGW_PROJECT="other", VOICEGW_URL="http://127.0.0.1:9000/")["VOICEGW_PROJECT"] == "acme"
    elsewhere = set_by(here, VOICEGW_URL="http://user:secret@other")
    assert (elsewhere["VOICEGW_URL"], "VOICEGW_PROJECT" in elsewhere) == (None, False)
    assert "VOICEGW_PROJECT" not in set_by(place(tmp_path, ""))


def test_livekit_inference_moves_only_where_all_of_it_is_served(tmp_path: Path) -> None:
    name = "LIVEKIT_INFERENCE_URL"
    assert set_by(place(tmp_path, KEYED))[name] == "http://127.0.0.1:8080/v1"
    [left] = [one for one in variables(place(tmp_path, ""), {"OPENAI_API_KEY": CANARY}) if one.value is None]
    assert (left.name, "speech-to-text, language models, text-to-speech" in left.why_not) == (name, True)
    for more, is_set in (
        ("providers: {deepgram: {api_key: d}, cartesia: {api_key: c}}", False),
        ("providers: {deepgram: {api_key: d}, ollama: {}, piper: {}}", True),
        ("providers: {mine: {dialect: openai, base_url: 'http://mine.test'}}", True),
        (KEYED + "projects: {default: {routing: {rosters: {llm: [groq]}}}}", False),
        ("projects: {default: {providers: {openai: {api_key: o}}}}", True),
    ):
        assert (set_by(place(tmp_path, more))[name] is not None) is is_set, more


def test_livekits_own_credentials_are_kept_where_there_are_any(tmp_path: Path) -> None:
    here = place(tmp_path, KEYED + "projects: {acme: {}}", "acme")
    assert set_by(here)["LIVEKIT_INFERENCE_API_KEY"] == "acme"
    kept = set_by(here, LIVEKIT_API_KEY="of the cloud", LIVEKIT_API_SECRET=CANARY)
    assert not {"LIVEKIT_INFERENCE_API_KEY", "LIVEKIT_API_KEY"} & set(kept)


def test_behind_agent_keys_only_who_presents_one_is_sent_here(tmp_path: Path) -> None:
    guarded = KEYED + "projects: {acme: {agent_keys: [an-agent-key]}}"
    here = place(tmp_path, guarded, "acme")
    assert set(moved_by(here, OPENAI_API_KEY=CANARY).values()) == {None}
    found = set_by(here, OPENAI_API_KEY="an-agent-key")
    assert (found["OPENAI_BASE_URL"] is None, found["GROQ_BASE_URL"] is None) == (False, True)
    found = set_by(here, LIVEKIT_INFERENCE_API_KEY="acme", LIVEKIT_INFERENCE_API_SECRET="an-agent-key")
    assert found["LIVEKIT_INFERENCE_URL"] == "http://127.0.0.1:8080/p/acme/v1"
    assert set_by(here, LIVEKIT_API_KEY="acme", LIVEKIT_API_SECRET="other")["LIVEKIT_INFERENCE_URL"] is None
    off_loopback = place(tmp_path, KEYED, None, "http://192.0.2.1:8080")
    assert set(moved_by(off_loopback, OPENAI_API_KEY=CANARY).values()) == {None}
    assert "an-agent-key" not in str(variables(here, {"OPENAI_API_KEY": CANARY}))


def test_the_agent_gets_the_environment_from_before_the_executable(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = {"_PYI_ARCHIVE_FILE": "/x", "_PYI_PARENT_PROCESS_LEVEL": "1", "LD_LIBRARY_PATH": "/tmp/_MEI1:/opt/lib",
              "LD_LIBRARY_PATH_ORIG": "/opt/lib", "PATH": "/bin"}  # fmt: skip
    assert outer_environment(inside) == inside  # not in the executable: these are the user's own
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert outer_environment(inside) == {"LD_LIBRARY_PATH": "/opt/lib", "PATH": "/bin"}
    del inside["LD_LIBRARY_PATH_ORIG"]
    assert outer_environment(inside) == {"PATH": "/bin"}

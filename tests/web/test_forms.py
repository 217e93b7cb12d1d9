"""Projects, brands and links by forms, as a browser without JavaScript sends them."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.api.test_branding import PNG
from tests.conftest import Client, MountControlPlane
from voicegw_sidecar.api.answers import RUNTIME
from voicegw_sidecar.managed_projects import merged
from voicegw_sidecar.web.logs import changed_values
from voicegw_sidecar.web.project_form import fields_of, patch_of, settings_of

FULL: dict[str, Any] = {
    "name": "Acme", "description": "Two\nlines", "daily_budget": 2.5, "budget_action": "throttle",
    "tags": ["production", "eu"],
    "agent_key_envs": ["AGENT_KEY"],
    "providers": {"openai": {"api_key_env": "ACME_KEY", "timeouts": {"connect_s": 3}},
                  "groq": {"include_usage": False}},
    "routing": {"budget_ms": 900, "fallback_to_fastest": False, "failover": True, "policy": "adaptive",
                "rosters": {"stt": ["deepgram", "assemblyai"], "llm": ["groq/llama-3.3-70b"]}},
    "throttle_to": {"llm": "ollama/qwen2.5:3b"},
}  # fmt: skip


async def send(client: Client, path: str, data: object) -> tuple[int, str, str]:
    origin = f"http://{client.host}:{client.port}"
    response = await client.post(path, data=data, headers={"Origin": origin}, allow_redirects=False)
    return response.status, response.headers.get("Location", ""), await response.text()


@pytest.mark.parametrize("settings", [{}, FULL, {"name": "X"}, {"routing": {"rosters": {"tts": ["cartesia"]}}}])
def test_what_a_form_shows_it_says_again(settings: dict[str, Any]) -> None:
    assert settings_of(settings, fields_of(settings)) == settings
    assert merged(settings, patch_of(settings, settings_of(settings, fields_of(settings)))) == settings


def test_a_field_that_was_emptied_is_a_setting_removed() -> None:
    sent = {
        **fields_of(FULL),
        "daily_budget": "",
        "roster_stt": "",
        "provider_keys": "",
        "agent_key_envs": "",
        "failover": "",
    }
    after = settings_of(FULL, sent)
    assert "daily_budget" not in after
    assert after["routing"]["rosters"] == {"llm": ["groq/llama-3.3-70b"]}
    assert after["providers"] == {"openai": {"timeouts": {"connect_s": 3}}, "groq": {"include_usage": False}}
    patch = patch_of(FULL, after)
    assert patch["daily_budget"] is None
    assert patch["routing"]["failover"] is None


async def test_a_project_is_made_changed_and_deleted(control_plane: MountControlPlane) -> None:
    client = await control_plane(environ={"ACME_KEY": "sk-canary"})
    runtime = client.app[RUNTIME]
    fields = {**fields_of({}), "project_id": "acme", "name": "Acme", "daily_budget": "2.50", "tags": "demo, eu",
              "roster_llm": "openai/gpt-4.1-mini", "provider_keys": "openai = ACME_KEY"}  # fmt: skip
    assert await send(client, "/projects/new", fields) == (303, "/projects", "")
    project = runtime.catalog.project("acme")
    assert (project.title, project.daily_budget_nanousd, project.tags) == ("Acme", 2_500_000_000, ("demo", "eu"))
    assert str(project.routing.rosters.llm[0]) == "openai/gpt-4.1-mini"
    page = await (await client.get("/projects/acme/edit")).text()
    assert "openai = ACME_KEY" in page
    assert "sk-canary" not in page
    fields = {**fields, "name": "Acme Voice", "daily_budget": ""}
    assert (await send(client, "/projects/acme/edit?project=acme", fields))[:2] == (303, "/projects?project=acme")
    assert runtime.catalog.project("acme").title == "Acme Voice"
    assert runtime.catalog.project("acme").daily_budget_nanousd is None
    assert "Delete acme?" in await (await client.get("/projects/acme/delete")).text()
    assert (await send(client, "/projects/acme/delete?project=acme", {"purge": "1"}))[:2] == (303, "/projects")
    assert "acme" not in runtime.catalog.projects


async def test_a_fault_is_told_beside_what_was_written(control_plane: MountControlPlane) -> None:
    client = await control_plane("projects: {taken: {}}\n")
    fields = {**fields_of({}), "project_id": "acme", "name": "<b>Acme</b>", "daily_budget": "a lot"}
    status, _, html = await send(client, "/projects/new", fields)
    assert status == 400
    assert "daily_budget: expected a number of US dollars, got &#34;a lot&#34;" in html
    assert "&lt;b&gt;Acme&lt;/b&gt;" in html
    assert "<b>Acme" not in html
    assert (await send(client, "/projects/new", {**fields, "project_id": "taken", "daily_budget": ""}))[0] == 409
    assert (await send(client, "/projects/taken/edit", fields))[0] == 404
    assert (await client.get("/projects/taken/edit")).status == 403
    assert (await client.get("/projects/nope/brand")).status == 404


async def test_a_brand_is_set_and_cleared(control_plane: MountControlPlane) -> None:
    client = await control_plane("projects: {acme: {}}\n")
    runtime = client.app[RUNTIME]

    def form(**fields: str) -> aiohttp.FormData:
        data = aiohttp.FormData()
        for name, value in fields.items():
            data.add_field(name, value, content_type="text/plain")
        data.add_field("logo", PNG if fields.get("with_logo") else b"", filename="logo.png")
        return data

    sent = form(product_name="AcmeVoice", accent_color="#f63", action="save", with_logo="1")
    assert (await send(client, "/projects/acme/brand", sent))[:2] == (303, "/projects")
    brand = runtime.brands.of(runtime.catalog.project("acme"))
    assert (brand.product_name, brand.accent_color, brand.logo is not None) == ("AcmeVoice", "#f63", True)
    assert "AcmeVoice" in await (await client.get("/sessions?project=acme")).text()
    assert "AcmeVoice" not in await (await client.get("/sessions")).text()
    status, _, html = await send(
        client, "/projects/acme/brand", form(product_name="x" * 65, accent_color="", action="save")
    )
    assert status == 400
    assert "product_name: expected 1 to 64 characters" in html
    status, _, _ = await send(
        client, "/projects/acme/brand", form(product_name="", accent_color="", action="save", remove_logo="1")
    )
    assert status == 303
    assert runtime.brands.of(runtime.catalog.project("acme")).logo is None
    await send(client, "/projects/acme/brand", form(product_name="Again", accent_color="", action="save"))
    assert (await send(client, "/projects/acme/brand", form(action="clear")))[0] == 303
    assert runtime.brands.of(runtime.catalog.project("acme")).product_name is None


async def test_a_link_is_shown_once(control_plane: MountControlPlane) -> None:
    client = await control_plane("projects: {acme: {}}\n")
    status, _, html = await send(client, "/projects/acme/links", {"days": "30", "label": "for <them>"})
    assert status == 201
    assert "/share/ey" in html
    page = await (await client.get("/projects/acme/links")).text()
    assert "/share/ey" not in page
    assert "for &lt;them&gt;" in page
    for days in ("0", "-1", "x", "99999", ""):
        assert (await send(client, "/projects/acme/links", {"days": days, "label": ""}))[0] == 400
    [share] = client.app[RUNTIME].shares.of("acme")
    assert (await send(client, f"/projects/acme/links/{share.id}/revoke", {}))[0] == 303
    assert ">revoked<" in await (await client.get("/projects/acme/links")).text()


def test_a_change_is_told_by_the_settings_that_differ() -> None:
    before = '{"name":"A","daily_budget":2.5,"routing":{"failover":true,"rosters":{"stt":["deepgram"]}},"tags":["x"]}'
    after = '{"name":"A","daily_budget":3,"routing":{"rosters":{"stt":["deepgram","whisper"]}},"tags":["x"],"n":false}'
    assert [(one.name, one.before, one.after) for one in changed_values(before, after)] == [
        ("daily_budget", "2.5", "3"), ("routing.failover", "yes", None),
        ("routing.rosters.stt", "deepgram", "deepgram, whisper"), ("n", None, "no")]  # fmt: skip
    assert changed_values(None, None) == []
    assert [one.before for one in changed_values('{"a":1}', None)] == ["1"]

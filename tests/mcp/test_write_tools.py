"""Every write tool: what it shows without ``confirm``, what it does with it, and who may."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import StartSidecar
from tests.mcp.support import ADMIN, KEYED, VIEWER, Editor, editor
from tests.sidecar import Sidecar
from voicegw_sidecar.api.shapes import new_project
from voicegw_sidecar.mcp import brand_tools, project_tools
from voicegw_sidecar.shares import DAYS_MOST, LABEL_CHARS

FILE = f"{KEYED}projects: {{acme: {{name: Acme}}}}\n"
ROSTERS = {"stt": ["deepgram"], "llm": ["groq", "openai/gpt-4.1-mini"], "tts": ["cartesia"]}
NEW: dict[str, Any] = {
    "project": "demo", "name": "Demo", "daily_budget": 2.5, "budget_action": "block", "tags": ["demo"],
    "budget_ms": 900, **ROSTERS,
}  # fmt: skip
KEY = {"Authorization": f"Bearer {ADMIN}"}


async def everything(sidecar: Sidecar) -> list[Any]:
    """All that a write tool could have changed, and the log of changes."""
    paths = ("/v1/projects", "/v1/changes", "/api/shares", "/api/projects/acme/branding")
    return [await sidecar.get_json(path, **KEY) for path in paths]


def shown(preview: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What a preview says of each field: now, and then."""
    assert (preview["changed"], preview["needs_confirm"]) == (False, True)
    return {one["field"]: (one["now"], one["would_be"]) for one in preview["preview"]}


def changed(answer: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    assert answer["changed"] is True
    return {one["field"]: (one["was"], one["is"]) for one in answer["changes"]}


async def made(at: Editor) -> None:
    await at.ask("create_project", **NEW, confirm=True)


CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("create_project", {**NEW, "project": "other"}), ("update_project", {"project": "demo", "name": "Other"}),
    ("set_routing", {"project": "demo", "budget_ms": 500}), ("set_brand", {"project": "acme", "product_name": "A"}),
    ("share", {"project": "acme"}),
)  # fmt: skip


async def test_without_confirm_nothing_changes(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(FILE) as sidecar, editor(sidecar.url, ADMIN) as at:
        await made(at)
        before = await everything(sidecar)
        for name, arguments in CALLS:
            for words in (arguments, {**arguments, "confirm": False}):
                text, found = await at.ask(name, **words)
                assert shown(found)
                assert text.startswith("Nothing was changed.")
                assert "confirm: true" in text
        assert await everything(sidecar) == before


async def test_a_viewer_key_is_told_that_a_write_needs_an_admin_key(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(FILE) as sidecar:
        async with editor(sidecar.url, ADMIN) as at:
            await made(at)
        before = await everything(sidecar)
        async with editor(sidecar.url, VIEWER) as at:
            for name, arguments in CALLS:
                told = await at.fails(name, **arguments, confirm=True)
                assert "a write needs an admin key in VOICEGW_API_KEY" in told
                assert "key-1" not in told
        assert await everything(sidecar) == before


async def test_a_project_is_made_and_changed(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(FILE) as sidecar, editor(sidecar.url, ADMIN) as at:
        _, found = await at.ask("create_project", **NEW)
        assert shown(found)["daily_budget"] == (None, 2.5)
        assert shown(found)["routing.rosters.llm"] == (None, ["groq", {"untrusted_text": "openai/gpt-4.1-mini"}])
        await made(at)
        demo = await sidecar.get_json("/v1/projects/demo", **KEY)
        assert (demo["daily_budget"], demo["budget_action"], demo["source"]) == (2.5, "block", "db")
        assert (demo["routing"]["budget_ms"], demo["routing"]["rosters"]) == (900, ROSTERS)
        for confirm in (False, True):
            assert "demo is taken" in await at.fails("create_project", project="demo", confirm=confirm)

        change = {"project": "demo", "daily_budget": None, "name": "Other"}
        assert shown((await at.ask("update_project", **change))[1]) == {
            "name": ({"untrusted_text": "Demo"}, {"untrusted_text": "Other"}), "daily_budget": (2.5, None)}  # fmt: skip
        text, found = await at.ask("update_project", **change, confirm=True)
        assert changed(found)["daily_budget"] == (2.5, None)
        assert "daily_budget: was 2.5, is unlimited" in text
        demo = await sidecar.get_json("/v1/projects/demo", **KEY)
        assert (demo["daily_budget"], demo["name"], demo["budget_action"]) == (None, "Other", "block")
        assert (await at.ask("update_project", **change, confirm=True))[1]["changed"] is False

        change = {"project": "demo", "budget_ms": 700, "tts": ["elevenlabs", "cartesia"], "policy": "adaptive"}
        assert shown((await at.ask("set_routing", **change))[1]) == {
            "routing.budget_ms": (900, 700), "routing.policy": ("median", "adaptive"),
            "routing.rosters.tts": (["cartesia"], ["elevenlabs", "cartesia"])}  # fmt: skip
        assert set(changed((await at.ask("set_routing", **change, confirm=True))[1])) == {
            "routing.budget_ms", "routing.policy", "routing.rosters.tts"}  # fmt: skip
        routing = (await sidecar.get_json("/v1/projects/demo", **KEY))["routing"]
        assert routing["rosters"] == {**ROSTERS, "tts": ["elevenlabs", "cartesia"]}
        assert (routing["budget_ms"], routing["policy"]) == (700, "adaptive")


async def test_what_the_sidecar_refuses_changes_nothing(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(FILE) as sidecar, editor(sidecar.url, ADMIN) as at:
        await made(at)
        before = await everything(sidecar)
        told = await at.fails("set_routing", project="demo", stt=["nobody"], confirm=True)
        assert "nobody" in told
        for name, words in (("update_project", {"name": "x"}), ("set_routing", {"budget_ms": 1})):
            for confirm in (False, True):
                told = await at.fails(name, project="acme", **words, confirm=confirm)
                assert told == "project acme is defined by the configuration file; edit the file instead"
            assert "nope" in await at.fails(name, project="nope", **words, confirm=True)
        assert "nope" in await at.fails("share", project="nope", confirm=True)
        assert "nope" in await at.fails("set_brand", project="nope", product_name="x", confirm=True)
        assert await everything(sidecar) == before


async def test_a_preview_refuses_what_the_sidecar_would_refuse(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(FILE) as sidecar:
        async with editor(sidecar.url, ADMIN) as at:
            await made(at)
        async with editor(sidecar.url, VIEWER) as at:
            for name, project in (("set_routing", "demo"), ("create_project", "other")):
                told = await at.fails(name, project=project, llm=["groq", "nobody/gpt-4.1"])
                assert told == "llm: found 'nobody/gpt-4.1', expected an entry of a provider that the sidecar knows"
                text, _ = await at.ask(name, project=project, stt=["local/whisper"], llm=["groq"], tts=[])
                assert "would change, if the sidecar takes it:" in text


async def test_a_project_may_name_its_own_providers(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(FILE) as sidecar, editor(sidecar.url, ADMIN) as at:
        own = {"project_id": "demo", "providers": {"mine": {"base_url": "http://127.0.0.1:9/v1", "dialect": "openai"}}}
        async with sidecar.http.post(f"{sidecar.url}/v1/projects", json=own, headers=KEY) as response:
            assert response.status == 201, await response.text()
        for confirm in (False, True):
            await at.ask("set_routing", project="demo", llm=["mine/model"], confirm=confirm)


async def test_what_was_not_set_and_is_not_is_no_change(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(FILE) as sidecar, editor(sidecar.url, ADMIN) as at:
        text, found = await at.ask("create_project", project="demo", name="Demo", confirm=True)
        assert "daily_budget" not in changed(found)
        assert changed(found)["name"] == (None, {"untrusted_text": "Demo"})
        assert "unlimited" not in text


def test_bounds_are_those_of_the_api() -> None:
    settings = new_project()["properties"]
    routing = next(one for one in settings["routing"]["anyOf"] if "properties" in one)["properties"]
    asked = {tool.name: tool.schema()["properties"] for tool in (*project_tools.TOOLS, *brand_tools.TOOLS)}
    label, days = asked["share"]["label"], asked["share"]["days"]
    assert (label["maxLength"], days["minimum"], days["maximum"]) == (LABEL_CHARS, 1, DAYS_MOST)
    for name in ("create_project", "set_routing"):
        bounds = asked[name]["budget_ms"]
        assert [bounds[end] for end in ("minimum", "maximum")] == [
            routing["budget_ms"][end] for end in ("minimum", "maximum")]  # fmt: skip
    for name in ("create_project", "update_project"):
        bounds, of_api = asked[name]["daily_budget"]["anyOf"], settings["daily_budget"]["anyOf"]
        assert {one.get("maximum") for one in bounds} == {one.get("maximum") for one in of_api}


async def test_a_brand_is_set_and_cleared(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(FILE) as sidecar, editor(sidecar.url, ADMIN) as at:
        look = {"project": "acme", "product_name": "AcmeVoice", "accent_color": "#FF6633"}
        assert shown((await at.ask("set_brand", **look))[1]) == {
            "product_name": (None, {"untrusted_text": "AcmeVoice"}), "accent_color": (None, "#FF6633")}  # fmt: skip
        await at.ask("set_brand", **look, confirm=True)
        brand = (await sidecar.get_json("/api/projects/acme/branding", **KEY))["branding"]
        assert brand == {"product_name": "AcmeVoice", "accent_color": "#FF6633", "logo_url": None}
        _, found = await at.ask("set_brand", project="acme", accent_color=None, confirm=True)
        assert changed(found) == {"accent_color": ("#FF6633", None)}


async def test_a_link_is_made_and_works(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(FILE) as sidecar, editor(sidecar.url, ADMIN) as at:
        text, found = await at.ask("share", project="acme", days=7, label="for Acme")
        assert shown(found)["valid_links"] == (0, 1)
        assert "/share/" not in text
        text, found = await at.ask("share", project="acme", days=7, label="for Acme", confirm=True)
        url = found["share"]["url"]
        assert url.startswith(f"{sidecar.url}/share/")
        assert url in text
        async with sidecar.http.get(url, allow_redirects=False) as response:
            assert response.status == 303
        [row] = (await sidecar.get_json("/api/shares?project=acme", **KEY))["shares"]
        assert (row["id"], row["label"], row["state"]) == (found["share"]["id"], "for Acme", "valid")


@pytest.mark.parametrize("key", ["", "wrong-key"])
async def test_without_an_admin_key_nothing_is_previewed(start_sidecar: StartSidecar, key: str) -> None:
    async with start_sidecar(FILE) as sidecar, editor(sidecar.url, key) as at:
        for name, arguments in CALLS:
            told = await at.fails(name, **arguments)
            assert "key" in told
            assert "wrong-key" not in told

"""Projects at run time over HTTP: made, changed, deleted, in force for the next call, and kept over a restart."""

from __future__ import annotations

import asyncio
from typing import Any

import apsw
import pytest

from tests.api.test_api import one_call, upstream
from tests.conftest import Client, MountControlPlane, StartSidecar
from tests.relay.test_http import CHAT
from tests.sidecar import raw_server
from voicegw_sidecar.api.answers import RUNTIME

DEMO = {
    "project_id": "demo",
    "name": "Demo Environment",
    "daily_budget": 2.00,
    "budget_action": "warn",
    "tags": ["demo"],
}


async def ask(client: Client, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    response = await client.request(method, path, json=body, headers=headers)
    return response.status, await response.json()


async def test_the_example_of_the_documentation_works(control_plane: MountControlPlane) -> None:
    client = await control_plane()
    status, made = await ask(client, "POST", "/v1/projects", DEMO)
    assert status == 201
    names = ("id", "name", "daily_budget", "budget_action", "tags", "source", "accent")
    assert {name: made[name] for name in names} == {
        "id": "demo", "name": "Demo Environment", "daily_budget": 2.0, "budget_action": "warn", "tags": ["demo"],
        "source": "db", "accent": "pink"}  # fmt: skip
    listed = (await ask(client, "GET", "/v1/projects"))[1]
    assert [one["id"] for one in listed["projects"]] == ["default", "demo"]
    assert listed["stats"]["demo"]["budget_status"] == "ok"
    assert await ask(client, "POST", "/v1/projects", DEMO) == (409, {"error": {
        "message": "project_id: demo is taken; choose another", "type": "invalid_request_error", "code": "conflict",
        "param": None}})  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({}, 400, "project_id: found nothing"), ({"project_id": 7}, 400, "project_id"),
        ({"project_id": "Acme"}, 400, "did you mean acme"), ({"project_id": "default"}, 409, "taken"),
        ({"project_id": "x", "daily_budget": "2"}, 400, "daily_budget: expected a number of US dollars"),
        ({"project_id": "x", "dayly_budget": 2}, 400, "did you mean daily_budget"),
        ({"project_id": "x", "routing": {"budget_ms": 0}}, 400, "routing.budget_ms: expected"),
        ({"project_id": "x", "providers": {"openai": {"api_key": "sk-canary"}}}, 400, "api_key_env"),
        ({"project_id": "x", "agent_keys": ["canary"]}, 400, "agent_key_envs"),
        ([], 400, "expected a JSON object"),
    ],
)  # fmt: skip
async def test_a_faulty_body_is_a_400_that_names_the_field(
    control_plane: MountControlPlane, body: object, status: int, told: str
) -> None:
    client = await control_plane()
    code, answer = await ask(client, "POST", "/v1/projects", body)
    assert (code, told in answer["error"]["message"]) == (status, True), answer
    assert "canary" not in str(answer)
    assert [*client.app[RUNTIME].catalog.projects] == ["default"]


async def test_only_json_is_taken_and_not_too_much_of_it(control_plane: MountControlPlane) -> None:
    client = await control_plane()
    plain = await client.post("/v1/projects", data=b'{"project_id":"x"}', headers={"Content-Type": "text/plain"})
    assert (plain.status, plain.headers["X-VoiceGW-Error"]) == (415, "unsupported_type")
    large = await ask(client, "POST", "/v1/projects", {"project_id": "x", "description": "a" * 70_000})
    assert large[1]["error"]["code"] == "too_large"


async def test_a_patch_merges_and_null_removes(control_plane: MountControlPlane) -> None:
    client = await control_plane()
    await ask(client, "POST", "/v1/projects", {**DEMO, "routing": {"budget_ms": 900, "rosters": {"stt": ["deepgram"]}}})
    status, changed = await ask(
        client, "PATCH", "/v1/projects/demo", {"daily_budget": None, "routing": {"budget_ms": 800}}
    )
    assert status == 200
    assert (changed["daily_budget"], changed["routing"]["budget_ms"], changed["routing"]["rosters"]["stt"]) == (
        None, 800, ["deepgram"])  # fmt: skip
    refused = await ask(client, "PATCH", "/v1/projects/demo", {"routing": {"budget_ms": "fast"}})
    assert (refused[0], refused[1]["error"]["message"][:18]) == (400, "routing.budget_ms:")
    assert (await ask(client, "GET", "/v1/projects/demo"))[1]["routing"]["budget_ms"] == 800
    assert (await ask(client, "PATCH", "/v1/projects/demo", {"project_id": "other"}))[0] == 400


async def test_projects_of_the_file_are_not_changed_here(control_plane: MountControlPlane) -> None:
    client = await control_plane("projects: {acme: {}}\n")
    for method, body in (("PATCH", {"name": "X"}), ("DELETE", None)):
        for project_id, status in (("acme", 403), ("default", 403), ("nope", 404)):
            assert (await ask(client, method, f"/v1/projects/{project_id}", body))[0] == status


async def test_the_next_call_knows_it_without_a_restart(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        path = "/p/fresh/openai/v1/chat/completions"

        async def call() -> int:
            async with sidecar.http.post(sidecar.url + path, data=b'{"model":"gpt-4.1-mini"}') as response:
                await response.read()
                return response.status

        assert await call() == 404
        body = {"project_id": "fresh", "daily_budget": 0.000001, "budget_action": "block"}
        async with sidecar.http.post(f"{sidecar.url}/v1/projects", json=body) as response:
            assert response.status == 201
        assert await call() == 200  # a day's first call is always served
        await sidecar.rows(1)
        assert await call() == 402
        async with sidecar.http.patch(f"{sidecar.url}/v1/projects/fresh", json={"budget_action": "warn"}) as response:
            assert response.status == 200
        assert await call() == 200
        async with sidecar.http.delete(f"{sidecar.url}/v1/projects/fresh") as response:
            assert (await response.json()) == {"id": "fresh", "deleted": True, "purge": False}
        assert await call() == 404


async def test_it_is_there_after_a_restart_unless_the_file_has_one_of_its_id(start_sidecar: StartSidecar) -> None:
    environ = {"ACME_KEY": "sk-canary"}
    async with start_sidecar(environ=environ) as sidecar:
        for project_id in ("acme", "globex"):
            body = {"project_id": project_id, "name": "Made here", "providers": {"openai": {"api_key_env": "ACME_KEY"}}}
            async with sidecar.http.post(f"{sidecar.url}/v1/projects", json=body) as response:
                assert response.status == 201
    async with start_sidecar("projects: {acme: {name: Of the file}}\n", environ=environ) as sidecar:
        listed = await sidecar.get_json("/v1/projects")
        status = await sidecar.get_json("/v1/status")
        assert [(one["id"], one["name"], one["source"]) for one in listed["projects"][1:]] == [
            ("acme", "Of the file", "yaml"), ("globex", "Made here", "db")]  # fmt: skip
        assert "in force" in status["projects_not_in_force"]["acme"]
        async with sidecar.http.patch(f"{sidecar.url}/v1/projects/acme", json={"name": "X"}) as response:
            assert response.status == 403
    async with start_sidecar(environ={}) as sidecar:  # the variable is gone: no project without its key
        status, ready = await sidecar.get_json("/v1/status"), await sidecar.get_json("/ready")
        assert "ACME_KEY is not set" in status["projects_not_in_force"]["globex"]
        assert ready["status"] == "degraded"
        assert "sk-canary" not in str(status)


async def test_no_key_reaches_the_database(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(environ={"ACME_KEY": "sk-canary-0123"}) as sidecar:
        body = {"project_id": "acme", "providers": {"openai": {"api_key_env": "ACME_KEY"}}}
        async with sidecar.http.post(f"{sidecar.url}/v1/projects", json=body) as response:
            assert "canary" not in await response.text()
        changes = await sidecar.get_json("/v1/changes")
        folder = sidecar.config.parent
    assert "canary" not in str(changes)
    for file in folder.glob("voicegw.db*"):
        assert b"sk-canary" not in file.read_bytes()


async def test_deleting_ends_brand_and_links_and_a_purge_removes_what_calls_left(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        for project_id in ("gone", "kept"):
            async with sidecar.http.post(f"{sidecar.url}/v1/projects", json={"project_id": project_id}) as response:
                assert response.status == 201
            await one_call(sidecar, f"/p/{project_id}/s/call-1" + CHAT.removeprefix("/p/default"))
        body = {"product_name": "Gone Voice"}
        async with sidecar.http.post(f"{sidecar.url}/api/projects/gone/branding", json=body) as response:
            assert response.status == 200
        async with sidecar.http.post(f"{sidecar.url}/api/shares", json={"project": "gone"}) as response:
            link = (await response.json())["url"]
        await sidecar.rows(2)
        async with sidecar.http.delete(f"{sidecar.url}/v1/projects/gone?purge=true") as response:
            assert (await response.json())["purge"] is True
        for _ in range(200):
            rows = await sidecar.rows()
            sessions = (await sidecar.get_json("/v1/sessions"))["sessions"]
            if len(rows) == 1 and len(sessions) == 1:
                break
            await asyncio.sleep(0.02)
        assert [row.project for row in rows] == ["kept"]
        assert [one["project"] for one in sessions] == ["kept"]
        daily = await sidecar.get_json("/v1/costs/daily")
        assert [one["project"] for one in daily] == ["gone", "kept"]  # what was spent was spent
        async with sidecar.http.post(f"{sidecar.url}/v1/projects", json={"project_id": "gone"}) as response:
            assert response.status == 201  # somebody else's, with a clean slate
        async with sidecar.http.get(link, allow_redirects=False) as response:
            assert response.status == 404
        brand = (await sidecar.get_json("/api/projects/gone/branding"))["branding"]
        assert brand == {"product_name": None, "accent_color": None, "logo_url": None}


async def test_every_change_has_its_line(control_plane: MountControlPlane) -> None:
    client = await control_plane("auth: {api_keys: [admin-key-1], viewer_keys: [viewer-key-1]}\n")
    admin = {"Authorization": "Bearer admin-key-1"}
    await ask(client, "POST", "/v1/projects", DEMO, **admin)
    await ask(client, "PATCH", "/v1/projects/demo", {"name": "Other"}, **admin)
    await ask(client, "POST", "/api/projects/demo/branding", {"accent_color": "#abc"}, **admin)
    made = (await ask(client, "POST", "/api/shares", {"project": "demo", "label": "for them"}, **admin))[1]
    await ask(client, "DELETE", f"/api/shares/{made['id']}", **admin)
    await ask(client, "DELETE", "/v1/projects/demo", **admin)
    changes = (await ask(client, "GET", "/v1/changes", Authorization="Bearer viewer-key-1"))[1]["changes"]
    assert [one["action"] for one in changes[::-1]] == [
        "project.create", "project.change", "brand.change", "share.create", "share.revoke",
        "project.delete"]  # fmt: skip
    assert (changes[4]["before"]["name"], changes[4]["after"]["name"]) == ("Demo Environment", "Other")
    [actor] = {one["actor"] for one in changes}
    assert actor.startswith("admin key ")
    assert "admin-key-1" not in str(changes)
    page = (await ask(client, "GET", "/v1/changes?limit=2", **admin))[1]
    rest = (await ask(client, "GET", f"/v1/changes?limit=9&before={page['next']}", **admin))[1]
    assert [one["id"] for one in page["changes"] + rest["changes"]] == [one["id"] for one in changes]


async def test_viewers_change_nothing(control_plane: MountControlPlane) -> None:
    client = await control_plane("auth: {api_keys: [admin-key-1], viewer_keys: [viewer-key-1]}\n")
    viewer = {"Authorization": "Bearer viewer-key-1"}
    for method, path, body in (
        ("POST", "/v1/projects", DEMO), ("PATCH", "/v1/projects/x", {}), ("DELETE", "/v1/projects/x", None),
        ("POST", "/api/projects/default/branding", {}), ("DELETE", "/api/projects/default/branding", None),
        ("POST", "/api/shares", {"project": "default"}), ("DELETE", "/api/shares/x", None),
    ):  # fmt: skip
        assert (await ask(client, method, path, body, **viewer))[0] == 403
        assert (await ask(client, method, path, body))[0] == 401


async def test_a_full_disk_is_told_and_the_change_comes_later(
    control_plane: MountControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicegw_sidecar.operating.commit.PATIENCE_S", 0.2)
    client = await control_plane()
    runtime = client.app[RUNTIME]
    blocker = apsw.Connection(str(runtime.store.path))
    blocker.set_busy_timeout(5000)  # what the sidecar writes as it starts may still be under way
    blocker.execute("BEGIN IMMEDIATE")
    status, answer = await ask(client, "POST", "/v1/projects", DEMO)
    assert (status, answer["error"]["code"]) == (503, "store_failed")
    assert "demo" not in runtime.catalog.projects
    blocker.execute("ROLLBACK")
    blocker.close()
    for _ in range(300):
        if "demo" in runtime.catalog.projects:
            break
        await asyncio.sleep(0.02)
    assert "demo" in runtime.catalog.projects

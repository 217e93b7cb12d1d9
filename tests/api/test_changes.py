"""Changes one after the other: none is lost, none is judged by what is no longer so, whoever hangs up meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

import apsw
import pytest

from tests.api.test_api import one_call, upstream
from tests.api.test_branding import PNG, upload
from tests.api.test_managed_projects import ask
from tests.conftest import MountControlPlane, StartSidecar
from tests.relay.test_http import CHAT
from tests.sidecar import raw_server, send_raw
from voicegw_sidecar.api.answers import RUNTIME
from voicegw_sidecar.runtime import Runtime


async def until(condition: Any, within_s: float = 10.0) -> None:
    deadline = asyncio.get_running_loop().time() + within_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)


def locked(runtime: Runtime) -> apsw.Connection:
    """Another program that holds the database."""
    connection = apsw.Connection(str(runtime.store.path))
    connection.set_busy_timeout(5000)  # what the sidecar writes as it starts may still be under way
    connection.execute("BEGIN IMMEDIATE")
    return connection


async def test_what_waits_for_the_disk_is_carried_out_in_order_and_judged_then(
    control_plane: MountControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicegw_sidecar.operating.commit.PATIENCE_S", 0.1)
    client = await control_plane(environ={"KEY": "agent-key-0123456789"})
    runtime = client.app[RUNTIME]
    assert (await ask(client, "POST", "/v1/projects", {"project_id": "kept"}))[0] == 201
    other = locked(runtime)
    answers = [
        await ask(client, "POST", "/v1/projects", {"project_id": "one", "agent_key_envs": ["KEY"]}),
        await ask(client, "POST", "/v1/projects", {"project_id": "one", "name": "Twice"}),
        await ask(client, "POST", "/v1/projects", {"project_id": "two", "agent_key_envs": ["KEY"]}),
        await ask(client, "PATCH", "/v1/projects/kept", {"name": "First"}),
        await ask(client, "PATCH", "/v1/projects/kept", {"description": "Second"}),
        await ask(client, "DELETE", "/v1/projects/kept"),
        await ask(client, "PATCH", "/v1/projects/kept", {"name": "After its end"}),
    ]
    assert [status for status, _ in answers] == [503] * 7
    other.execute("ROLLBACK")
    other.close()
    await until(lambda: runtime.waiting_changes == 0)
    assert [*runtime.catalog.projects] == ["default", "one"]  # two has the key of one, and kept is gone
    assert runtime.catalog.project("one").title == "one"
    changes = (await ask(client, "GET", "/v1/changes"))[1]["changes"]
    assert [one["action"] for one in changes[::-1]] == [
        "project.create", "project.create", "project.change", "project.change", "project.delete"]  # fmt: skip
    assert changes[1]["after"] == {"name": "First", "description": "Second"}


async def test_more_changes_than_may_wait_are_told_to_come_again(
    control_plane: MountControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicegw_sidecar.operating.commit.PATIENCE_S", 0.05)
    monkeypatch.setattr("voicegw_sidecar.operating.commit.WAITING_LIMIT", 3)
    client = await control_plane()
    runtime = client.app[RUNTIME]
    other = locked(runtime)
    told = [
        (await ask(client, "POST", "/v1/projects", {"project_id": f"p{number}"}))[1]["error"]["message"]
        for number in range(5)
    ]
    assert ["too many changes" in message for message in told] == [False, False, False, True, True]
    other.execute("ROLLBACK")
    other.close()
    await until(lambda: runtime.waiting_changes == 0)
    assert len(runtime.catalog.projects) == 4


async def test_who_hangs_up_loses_nothing(start_sidecar: StartSidecar) -> None:
    async with start_sidecar() as sidecar:
        async with sidecar.http.post(f"{sidecar.url}/v1/projects", json={"project_id": "acme"}) as response:
            assert response.status == 201
        for number in range(20):
            body = f'{{"description":"{number}"}}'.encode()
            head = (
                f"PATCH /v1/projects/acme HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            _, writer = await send_raw(sidecar.url, head.encode() + body)
            await asyncio.sleep(number % 4 * 0.0005)
            writer.transport.abort()
            async with sidecar.http.patch(f"{sidecar.url}/v1/projects/acme", json={"name": f"N{number}"}) as response:
                assert response.status == 200
        runtime = sidecar.running.runtime
        await until(lambda: runtime.waiting_changes == 0)
        changes = (await sidecar.get_json("/v1/changes?limit=1000"))["changes"]
        state: dict[str, Any] = {}
        for change in changes[::-1]:  # each began with what the one before had left
            assert (change["before"] or {}) == state
            state = change["after"]
        project = runtime.catalog.project("acme")
        assert (project.name, project.description) == (state["name"], state.get("description", ""))


async def test_a_purge_goes_on_after_a_restart_and_takes_in_what_was_running(start_sidecar: StartSidecar) -> None:
    release = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        await release.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()

    async with raw_server(slow) as url:
        async with start_sidecar(openai=url) as sidecar:
            async with sidecar.http.post(f"{sidecar.url}/v1/projects", json={"project_id": "acme"}) as response:
                assert response.status == 201
            path = "/p/acme/s/secret-call" + CHAT.removeprefix("/p/default")
            call = asyncio.ensure_future(one_call(sidecar, path))
            await sidecar.rows(1, status="open")
            async with sidecar.http.delete(f"{sidecar.url}/v1/projects/acme?purge=true") as response:
                assert response.status == 200
            async with sidecar.http.post(f"{sidecar.url}/v1/projects", json={"project_id": "acme"}) as response:
                assert response.status == 201  # made again while the old one's call runs
            release.set()
            await call
            await sidecar.rows(1)
        async with start_sidecar(openai=url) as sidecar:
            for _ in range(300):
                if not await sidecar.rows() and not (await sidecar.get_json("/v1/sessions"))["sessions"]:
                    break
                await asyncio.sleep(0.02)
            assert await sidecar.rows() == []
            await until(lambda: sidecar.running.runtime.purges == [])
            await one_call(sidecar, path)
            await sidecar.rows(1)
            await asyncio.sleep(0.6)
            assert len(await sidecar.rows()) == 1  # the new one's calls are nobody's to remove
        async with start_sidecar(openai=url) as sidecar:
            assert len(await sidecar.rows()) == 1


async def test_what_the_file_no_longer_has_is_not_inherited(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url:
        async with start_sidecar("projects: {acme: {}}\n", openai=url) as sidecar:
            async with sidecar.http.post(f"{sidecar.url}/api/shares", json={"project": "acme"}) as response:
                link = (await response.json())["url"]
            body = {"product_name": "OldBrand"}
            async with sidecar.http.post(f"{sidecar.url}/api/projects/acme/branding", json=body) as response:
                assert response.status == 200
        async with start_sidecar(openai=url) as sidecar:
            async with sidecar.http.post(f"{sidecar.url}/v1/projects", json={"project_id": "acme"}) as response:
                assert response.status == 201
            token = link.rpartition("/")[2]
            async with sidecar.http.get(f"{sidecar.url}/share/{token}", allow_redirects=False) as response:
                assert response.status == 404
            branding = await sidecar.get_json("/api/projects/acme/branding")
            assert branding["branding"]["product_name"] is None


async def test_a_logo_that_is_named_is_there_whatever_came_together(control_plane: MountControlPlane) -> None:
    client = await control_plane("projects: {acme: {}}\n")
    for _ in range(25):
        await asyncio.gather(
            upload(client, PNG), ask(client, "DELETE", "/api/projects/acme/branding"), upload(client, PNG),
            ask(client, "POST", "/api/projects/acme/branding", {"logo_url": None}),
        )  # fmt: skip
        url = (await ask(client, "GET", "/api/projects/acme/branding"))[1]["branding"]["logo_url"]
        if url is not None:
            assert (await client.get(url)).status == 200


async def test_head_is_for_whom_get_is(control_plane: MountControlPlane) -> None:
    client = await control_plane("auth: {api_keys: [k-1]}\n")
    for path, status in (("/health", 200), ("/ready", 200), ("/static/app.css", 200), ("/login", 200), ("/", 303),
                         ("/v1/status", 401)):  # fmt: skip
        assert (await client.head(path, allow_redirects=False)).status == status, path


async def test_a_row_of_another_program_does_not_keep_the_sidecar_from_starting(start_sidecar: StartSidecar) -> None:
    async with start_sidecar() as sidecar:
        path = sidecar.running.runtime.store.path
    connection = apsw.Connection(str(path))
    for name, settings in (("deep", "[" * 50_000), ("odd", "CAST(X'ff22' AS TEXT)")):
        value = settings if settings.startswith("CAST") else f"'{settings}'"
        connection.execute(f"INSERT INTO managed_projects VALUES ('{name}', {value}, 1, 1)")
    connection.execute(
        "INSERT INTO latency_observations (project_id, provider, modality, sample_count, window_start, window_end, "
        "refreshed_at) VALUES ('default', 'openai', 'llm', 0, '', '', '')"
    )
    connection.close()
    async with start_sidecar() as sidecar:
        status = await sidecar.get_json("/v1/status")
        assert set(status["projects_not_in_force"]) == {"deep", "odd"}

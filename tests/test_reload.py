"""A changed file is put in force while calls run; a bad one is refused and says why."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.api.test_api import upstream
from tests.api.test_sessions import CHAT, ROUTED, call, get, post
from tests.conftest import StartSidecar
from tests.sidecar import Sidecar, raw_server
from voicegw_sidecar.config import Loaded
from voicegw_sidecar.reload import reload, running_with
from voicegw_sidecar.settings import load_settings


def reader(sidecar: Sidecar) -> Callable[[], Loaded]:
    return lambda: load_settings(str(sidecar.config), {})


async def rewrite(sidecar: Sidecar, old: str, new: str) -> None:
    text = sidecar.config.read_text()
    assert old in text
    sidecar.config.write_text(text.replace(old, new))
    await reload(sidecar.running.runtime, reader(sidecar))


async def test_the_next_session_has_the_new_rosters_and_open_ones_keep_theirs(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        await post(sidecar, "/v1/sessions", {"project": "acme", "session_id": "before"})
        await rewrite(sidecar, "stt: [deepgram, assemblyai]", "stt: [assemblyai]")
        _, begun = await post(sidecar, "/v1/sessions", {"project": "acme", "session_id": "after"})
        assert begun["route"]["stt"]["provider"] == "assemblyai"
        _, kept = await get(sidecar, "/v1/sessions/before")
        assert (kept["route"]["stt"]["provider"], kept["predicted_ms"]) == ("deepgram", 480)
        _, closed = await post(sidecar, "/v1/sessions/before/close")
        assert closed["route"]["stt"]["provider"] == "deepgram"


async def test_a_bad_file_is_refused_and_the_running_one_stays(
    start_sidecar: StartSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        with caplog.at_level(logging.ERROR, "voicegw_sidecar"):
            await rewrite(sidecar, "budget_ms: 1200", "budget_ms: fast")
        [record] = caplog.records
        assert "projects.acme.routing.budget_ms" in record.reason  # type: ignore[attr-defined]
        status = (await get(sidecar, "/v1/status"))[1]
        assert "projects.acme.routing.budget_ms" in status["config_error"]
        code, ready = await get(sidecar, "/ready")
        assert (code, ready["status"]) == (200, "degraded")
        assert (await post(sidecar, "/v1/sessions", {"project": "acme"}))[1]["budget_ms"] == 1200
        await rewrite(sidecar, "budget_ms: fast", "budget_ms: 1300")
        assert (await get(sidecar, "/v1/status"))[1]["config_error"] is None
        assert (await get(sidecar, "/ready"))[1]["status"] == "ready"
        assert (await post(sidecar, "/v1/sessions", {"project": "acme"}))[1]["budget_ms"] == 1300


@pytest.mark.parametrize("what", ["gone", "empty", "unreadable", "a folder"])
async def test_a_file_that_is_not_there_whole_takes_no_project_away(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        if what == "unreadable":
            monkeypatch.setattr(
                Path, "stat", lambda path, **more: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
            )
        else:
            sidecar.config.unlink()
        if what == "empty":
            sidecar.config.touch()
        elif what == "a folder":
            sidecar.config.mkdir()
        # found by search, and not named: without it there would be the defaults
        await reload(sidecar.running.runtime, lambda: load_settings(None, {"HOME": str(sidecar.config.parent)}))
        monkeypatch.undo()
        assert "acme" in sidecar.running.runtime.catalog.projects
        status = (await get(sidecar, "/v1/status"))[1]
        assert str(sidecar.config) in status["config_error"]
        assert (await get(sidecar, "/ready"))[1]["status"] == "degraded"


async def test_another_file_is_not_read_by_a_reload(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("projects: {globex: {}}\n")
    async with start_sidecar(ROUTED) as sidecar:
        await reload(sidecar.running.runtime, lambda: load_settings(str(other), {"HOME": str(tmp_path)}))
        assert "globex" not in sidecar.running.runtime.catalog.projects
        assert "restart the sidecar to read another file" in (await get(sidecar, "/v1/status"))[1]["config_error"]


async def test_keys_prices_budgets_and_agent_keys_change(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar("projects: {acme: {}}\n", openai=url) as sidecar:
        await call(sidecar, "/p/acme")
        more = (
            "projects: {acme: {agent_keys: [agent-key-0123456789], daily_budget: 0.000001, budget_action: block}}\n"
            "prices: {openai/gpt-4.1-mini: {input_per_mtok: 1000, output_per_mtok: 0}}\n"
            "auth: {api_keys: [admin-key-0123456789]}\n"
        )
        await rewrite(sidecar, "projects: {acme: {}}\n", more)
        admin = {"Authorization": "Bearer admin-key-0123456789"}
        assert (await get(sidecar, "/v1/logs"))[0] == 401
        url = f"{sidecar.url}/p/acme/openai/v1/chat/completions"
        async with sidecar.http.post(url, data=CHAT) as response:
            assert response.status == 401, "the project has an agent key now"
        async with sidecar.http.post(
            url, data=CHAT, headers={"Authorization": "Bearer agent-key-0123456789"}
        ) as response:
            assert response.headers["X-VoiceGW-Error"] in ("missing_key", "budget_exceeded")
        url = f"{sidecar.url}/openai/v1/chat/completions"
        async with sidecar.http.post(url, data=CHAT) as response:
            assert response.status == 200
        await sidecar.rows(at_least=2)
        logs = (await get(sidecar, "/v1/logs?project=default", **admin))[1]["logs"]
        assert logs[0]["cost_usd"] == 0.003, "three tokens at the new price"


async def test_what_runs_ends_as_it_began(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar("projects: {acme: {}, globex: {}}\n", openai=url) as sidecar:
        await call(sidecar, "/p/globex/s/call-1")
        await rewrite(sidecar, ", globex: {}", "")
        async with sidecar.http.post(f"{sidecar.url}/p/globex/openai/v1/chat/completions", data=CHAT) as response:
            assert response.status == 404
        assert (await post(sidecar, "/v1/sessions/call-1/close"))[1]["exchanges"] == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("timezone: Europe/Berlin", "timezone"), ("serve: {port: 1}", "serve.port"),
        ("serve: {host: '::1'}", "serve.host"), ("logging: {level: debug}", "logging"),
        ("cost_tracking: {db_path: /tmp/other.db}", "cost_tracking.db_path"),
        ("cost_tracking: {enabled: false}", "cost_tracking.enabled"),
        ("projects: {acme: {}}", None), ("serve: {drain_seconds: 1}", None),
    ],
)  # fmt: skip
def test_what_a_running_sidecar_cannot_take_waits_for_a_restart(change: str, named: str | None, tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("{}")
    (tmp_path / "new.yaml").write_text(change)
    old, new = (load_settings(str(tmp_path / f"{name}.yaml"), {"HOME": "/"}).config for name in ("old", "new"))
    kept, waiting = running_with(old, new)
    assert waiting == (() if named is None else (named,))
    assert (kept.timezone, kept.serve.port, kept.cost_tracking.db_path) == (
        old.timezone, old.serve.port, old.cost_tracking.db_path)  # fmt: skip
    assert kept.projects == new.projects


@pytest.mark.parametrize("way", ["signal", "watch"])
async def test_a_process_reloads(way: str, tmp_path: Path) -> None:
    config = tmp_path / "voicegw.yaml"
    config.write_text(f"cost_tracking: {{db_path: {tmp_path}/voicegw.db}}\nserve: {{port: 0}}\n{ROUTED}")
    words = ["serve", "--config", str(config), *(["--watch"] if way == "watch" else [])]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voicegw_sidecar", *words, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert process.stdout is not None
    url = (await asyncio.wait_for(process.stdout.readline(), 30)).decode().split()[-1]
    async with aiohttp.ClientSession() as http:

        async def budget_ms() -> Any:
            async with http.get(f"{url}/api/routing?project=acme") as response:
                return (await response.json())["projects"]["acme"]["budget_ms"]

        assert await budget_ms() == 1200
        config.write_text(config.read_text().replace("budget_ms: 1200", "budget_ms: 1250"))
        if way == "signal":
            process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(10):
            while await budget_ms() != 1250:
                await asyncio.sleep(0.05)
    process.terminate()
    _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert b"configuration reloaded" in err


async def test_projects_made_at_run_time_stay_and_are_judged_by_the_new_file(start_sidecar: StartSidecar) -> None:
    vllm = "my_vllm: {dialect: openai, base_url: 'http://127.0.0.1:9'}"
    async with start_sidecar("projects: {acme: {}}\n", openai="http://127.0.0.1:9") as sidecar:
        await rewrite(sidecar, "openai: {base_url: 'http://127.0.0.1:9'}", vllm)
        for project_id, rosters in (("plain", {}), ("other", {"llm": ["my_vllm"]}), ("later", {})):
            body = {"project_id": project_id, "routing": {"rosters": rosters}}
            assert (await post(sidecar, "/v1/projects", body))[0] == 201
        await rewrite(sidecar, vllm, "openai: {}")
        await rewrite(sidecar, "projects: {acme: {}}", "projects: {acme: {}, later: {name: Of the file}}")
        status = (await get(sidecar, "/v1/status"))[1]["projects_not_in_force"]
        assert set(status) == {"other", "later"}
        assert "my_vllm" in status["other"]
        listed = (await get(sidecar, "/v1/projects"))[1]["projects"]
        assert [(one["id"], one["source"]) for one in listed] == [
            ("default", "yaml"), ("acme", "yaml"), ("later", "yaml"), ("plain", "db")]  # fmt: skip
        await sidecar.running.runtime.store.committed()  # a reload does not wait for the disk
        changes = (await get(sidecar, "/v1/changes"))[1]["changes"]
        reloads = [one for one in changes if one["action"] == "configuration.reload"]
        assert reloads[0]["after"]["projects.later.name"] == "Of the file"
        assert {one["actor"] for one in reloads} == {"the configuration file"}
        await rewrite(sidecar, "later: {name: Of the file}", "third: {}")
        assert [*sidecar.running.runtime.catalog.projects][-2:] == ["plain", "later"]

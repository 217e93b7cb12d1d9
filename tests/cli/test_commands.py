"""The command line as a user runs it: output, exit codes, one-line errors, and processes that end in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import aiohttp
import msgspec
import pytest

from tests.api.test_api import upstream
from tests.conftest import StartSidecar
from tests.relay.test_http import CHAT
from tests.sidecar import raw_server
from voicegw_sidecar import __version__


async def run(*words: str, cwd: Path | None = None, **environ: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voicegw_sidecar", *words, cwd=cwd, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env={**os.environ, **environ},
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_version() -> None:
    assert await run("--version") == (0, f"voicegw-sidecar {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ((), "COMMAND"), (("nonsense",), "nonsense"), (("logs", "--limit", "0"), "--limit"),
        (("serve", "--port", "x"), "--port"), (("costs", "--period", "year"), "--period"),
        (("demo", "--agents", "-1"), "--agents"), (("check", "--jsn"), "--jsn"),
        (("check", "--config", "nowhere.yaml"), "nowhere.yaml"), (("serve", "--host", "0.0.0.0"), "serve.host"),
    ],
)  # fmt: skip
async def test_wrong_usage_is_one_line_and_exit_2(words: tuple[str, ...], named: str, tmp_path: Path) -> None:
    code, out, err = await run(*words, cwd=tmp_path, HOME=str(tmp_path))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert named in err
    assert "Traceback" not in err


async def test_check_says_every_fault_with_its_path(tmp_path: Path) -> None:
    config = tmp_path / "voicegw.yaml"
    config.write_text("projects: {acme: {budgt_action: warn, daily_budget: -1}}\nserve: {port: fast}\n")
    code, out, err = await run("check", "--config", str(config))
    assert (code, out) == (2, "")
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        "projects.acme.budgt_action", "projects.acme.daily_budget", "serve.port"]  # fmt: skip
    assert "did you mean budget_action?" in err
    code, out, err = await run("--config", str(config), "check", "--json")
    assert code == 2
    assert not msgspec.json.decode(out)["ok"]
    config.write_text("projects: {acme: {branding: {product_name: Acme}}}\n")
    code, out, err = await run("check", "--config", str(config))
    assert (code, err) == (0, "")
    assert out == f"{config} is valid.\n"
    config.write_text("projects: {acme: {branding: {logo: voicegw.yaml}}, globex: {branding: {logo: nowhere.png}}}\n")
    code, out, err = await run("check", "--config", str(config))
    assert (code, out) == (2, "")
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        "projects.acme.branding.logo", "projects.globex.branding.logo"]  # fmt: skip


async def test_listings_read_the_database_of_a_running_sidecar(start_sidecar: StartSidecar) -> None:
    async with (
        raw_server(upstream) as url,
        start_sidecar("projects: {acme: {name: Acme Voice}}\n", openai=url) as sidecar,
    ):
        path = CHAT.replace("default", "acme/s/call-1")
        async with sidecar.http.post(sidecar.url + path, data=b'{"model":"gpt-4.1-mini"}') as response:
            await response.read()
        await sidecar.rows(1)
        config = ("--config", str(sidecar.config))
        code, out, err = await run("costs", "--project", "acme", *config)
        assert (code, err) == (0, "")
        assert "0.000004 USD, 1 requests" in out
        assert "openai/gpt-4.1-mini" in out
        code, out, _ = await run("projects", *config)
        assert code == 0
        assert "Acme Voice" in out
        code, out, _ = await run("logs", *config, "--status", "ok")
        assert code == 0
        assert "openai/gpt-4.1-mini" in out
        for words in (("costs",), ("projects",), ("logs", "--session", "call-1")):
            code, out, _ = await run(*words, "--json", *config)
            assert code == 0
            assert isinstance(msgspec.json.decode(out), dict)
        code, _, err = await run("costs", "--project", "nope", *config)
        assert code == 2
        assert "nope" in err


async def test_a_full_or_closed_output_is_no_traceback(tmp_path: Path) -> None:
    for redirect in (">/dev/full", ">&-"):
        process = await asyncio.create_subprocess_shell(
            f"'{sys.executable}' -m voicegw_sidecar check {redirect}", cwd=tmp_path, stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "HOME": str(tmp_path)},
        )  # fmt: skip
        _, err = await asyncio.wait_for(process.communicate(), 20)
        assert b"Traceback" not in err


async def test_check_and_serve_agree_on_what_may_be_bound(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "voicegw.yaml").write_text("serve: {host: 0.0.0.0}\n")
    for command in ("check", "serve"):
        code, _, err = await run(command, cwd=tmp_path, HOME=str(tmp_path))
        assert (code, "VOICEGW_API_KEY" in err) == (2, True)
    code, _, err = await run("serve", "--host", "0.0.0.0", cwd=tmp_path / "elsewhere", HOME=str(tmp_path))
    assert (code, "VOICEGW_API_KEY" in err) == (2, True)
    code, _, err = await run("check", cwd=tmp_path, HOME=str(tmp_path), VOICEGW_API_KEY="k")
    assert (code, err) == (0, "")


async def test_a_listing_without_a_database_says_what_to_do(tmp_path: Path) -> None:
    code, _, err = await run("costs", cwd=tmp_path, VOICEGW_DB_PATH=str(tmp_path / "none.db"), HOME=str(tmp_path))
    assert code == 1
    assert "voicegw-sidecar serve" in err


async def started(*words: str, cwd: Path) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voicegw_sidecar", *words, cwd=cwd, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, env={**os.environ, "HOME": str(cwd)},
    )  # fmt: skip
    assert process.stdout is not None
    while b"http://127.0.0.1:" not in (line := await asyncio.wait_for(process.stdout.readline(), 20)):
        assert line, (await process.stderr.read()).decode() if process.stderr else ""
    address = next(word for word in line.decode().split() if word.startswith("http://127.0.0.1:"))
    return process, address.rstrip("/")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_ends_in_order_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    process, url = await started("serve", "--port", "0", cwd=tmp_path)
    async with aiohttp.ClientSession() as http, http.get(f"{url}/health") as response:
        assert response.status == 200
    code, _, err = await run("serve", "--port", "0", cwd=tmp_path, HOME=str(tmp_path))
    assert code == 1
    assert "in use by the sidecar with process id" in err
    process.send_signal(number)
    _, errors = await asyncio.wait_for(process.communicate(), 10)
    assert process.returncode == 0
    assert errors.count(b"\n") == 1
    assert b"INFO draining" in errors


async def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    process, url = await started("serve", "--port", "0", cwd=tmp_path)
    database = str(tmp_path / "other.db")
    code, _, err = await run("serve", "--port", url.rpartition(":")[2], cwd=tmp_path, VOICEGW_DB_PATH=database)
    assert code == 2
    assert "is in use by another program" in err
    assert err.count("\n") == 1
    process.terminate()
    await asyncio.wait_for(process.communicate(), 10)


@pytest.mark.timeout(90)
async def test_the_demo_shows_live_figures_within_ten_seconds_and_leaves_nothing(tmp_path: Path) -> None:
    process, url = await started("demo", "--port", "0", "--agents", "4", cwd=tmp_path)
    async with aiohttp.ClientSession() as http:
        deadline = asyncio.get_running_loop().time() + 30
        kinds: set[str] = set()
        while kinds != {"stt", "llm", "tts"} and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.5)
            async with http.get(f"{url}/v1/costs") as response:
                kinds = set((await response.json())["by_modality"])
        assert kinds == {"stt", "llm", "tts"}
    process.terminate()
    out, err = await asyncio.wait_for(process.communicate(), 15)
    assert (process.returncode, err) == (0, b"")
    assert b"USD" in out
    assert b"base_url=" in out
    assert list(tmp_path.iterdir()) == []


async def test_the_demo_without_agents_waits_for_the_users_own(tmp_path: Path) -> None:
    process, url = await started("demo", "--port", "0", "--agents", "0", cwd=tmp_path)
    async with aiohttp.ClientSession() as http:
        body = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hi"}]}
        async with http.post(f"{url}/p/acme/openai/v1/chat/completions", json=body) as response:
            assert response.status == 200
            await response.read()
        requests = 0
        async with asyncio.timeout(5):  # on a slow disk the row may come after the answer
            while requests != 1:
                async with http.get(f"{url}/v1/costs") as response:
                    requests = (await response.json())["requests"]
    process.terminate()
    await asyncio.wait_for(process.communicate(), 15)
    assert process.returncode == 0

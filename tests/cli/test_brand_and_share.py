"""``brand`` and ``share`` against a running sidecar: what they print, and how they end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from tests.api.test_branding import PNG
from tests.cli.test_commands import run
from tests.conftest import StartSidecar
from tests.sidecar import Sidecar, raw_server

KEYED = "auth: {api_keys: [admin-key-1]}\nprojects: {acme: {}, globex: {}}\n"
KEY = {"VOICEGW_API_KEY": "admin-key-1"}


async def ask(sidecar: Sidecar, *words: str, **environ: str) -> tuple[int, str, str]:
    return await run(*words, "--url", sidecar.url, **{**KEY, **environ})


async def test_the_example_of_the_documentation_works(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    (tmp_path / "acme-logo.png").write_bytes(PNG)
    async with start_sidecar(KEYED) as sidecar:
        words = ("brand", "set", "--project", "acme", "--logo", str(tmp_path / "acme-logo.png"),
                 "--accent", "#FF6633", "--name", "AcmeVoice")  # fmt: skip
        assert await ask(sidecar, *words) == (0, (
            "Project acme branding updated:\n"
            "  Logo: /static/branding/acme.png\n"
            "  Accent color: #FF6633\n"
            "  Product name: AcmeVoice\n"
        ), "")  # fmt: skip
        code, out, _ = await ask(sidecar, "brand", "show", "--project", "acme", "--json")
        assert code == 0
        assert msgspec.json.decode(out)["branding"]["logo_url"] == "/static/branding/acme.png"
        code, out, _ = await ask(sidecar, "brand", "clear", "--project", "acme")
        assert (code, out.splitlines()[1]) == (0, "  Logo: -")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("brand", "set", "--project", "acme"), 2, "nothing to set"),
        (("brand", "set", "--project", "acme", "--accent", "red"), 2, "accent_color: expected a colour"),
        (("brand", "set", "--project", "acme", "--logo", "nowhere.png"), 2, "nowhere.png cannot be read"),
        (("brand", "set", "--project", "acme", "--logo", __file__), 1, "logo:"),
        (("brand", "show", "--project", "nope"), 2, "nope"), (("brand", "show"), 2, "--project"),
        (("share", "create", "nope"), 2, "nope"), (("share", "create", "acme", "--days", "0"), 2, "--days"),
        (("share", "revoke", "nope"), 1, "no share link"), (("share", "list", "nope"), 2, "nope"),
        (("brand",), 2, "set|show|clear"), (("share", "nonsense"), 2, "nonsense"),
    ],
)  # fmt: skip
async def test_a_no_is_one_line(start_sidecar: StartSidecar, words: tuple[str, ...], code: int, told: str) -> None:
    async with start_sidecar(KEYED) as sidecar:
        found, out, err = await (run(*words) if words in (("brand",),) else ask(sidecar, *words))
    assert (found, out) == (code, "")
    assert err.count("\n") == 1
    assert told in err


@pytest.mark.parametrize(
    ("words", "environ", "code"),
    [
        (("share", "list"), {"VOICEGW_API_KEY": "S3CRET key"}, 2),
        (("share", "list"), {"VOICEGW_API_KEY": "S3CRETé"}, 2),
        (("share", "list", "--url", "http://[::1"), {}, 2),
        (("share", "list", "--url", "http://a..b"), {}, 1),
        (("share", "list", "--url", f"http://{'a' * 64}.test"), {}, 1),
        (("share", "list", "--url", "http://x/é"), {}, 2),
        (("share", "list", "--url", "http://user:S3CRET@127.0.0.1"), {}, 2),
        (("brand", "show", "--project", ""), {}, 2),
        (("share", "list", "--url", "http://127.0.0.1:99999"), {}, 2),
    ],
)  # fmt: skip
async def test_nothing_is_a_traceback_and_no_key_is_shown(
    words: tuple[str, ...], environ: dict[str, str], code: int
) -> None:
    found, out, err = await run(*words, **environ)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert "S3CRET" not in err
    assert "Traceback" not in err


async def test_a_key_with_a_line_break_at_its_end_is_a_key(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(KEYED) as sidecar:
        assert (await ask(sidecar, "share", "list", VOICEGW_API_KEY="admin-key-1\n"))[0] == 0


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"null", b"[" * 100_000, b"<html>", b'{"shares":[{}]}', b'{"shares":7}']
)
async def test_what_is_no_sidecar_is_told_of_in_one_line(body: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
        await writer.drain()

    async with raw_server(script) as url:
        code, out, err = await run("share", "list", "--url", url)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "Traceback" not in err


async def test_a_link_is_made_listed_and_revoked(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(KEYED) as sidecar:
        code, out, _ = await ask(sidecar, "share", "create", "acme", "--days", "7", "--label", "for Acme")
        assert (code, out.count("\n")) == (0, 1)
        assert out.startswith(f"{sidecar.url}/share/")
        async with sidecar.http.get(out.strip(), allow_redirects=False) as response:
            assert response.status == 303
        code, out, _ = await ask(sidecar, "share", "list", "acme", "--json")
        [share] = msgspec.json.decode(out)["shares"]
        assert (share["state"], share["label"], "url" in share) == ("valid", "for Acme", False)
        assert (await ask(sidecar, "share", "list", "globex"))[1].count("\n") == 1
        assert (await ask(sidecar, "share", "revoke", share["id"]))[0] == 0
        assert "revoked" in (await ask(sidecar, "share", "list"))[1]


async def test_without_a_sidecar_or_a_key_it_says_so(start_sidecar: StartSidecar) -> None:
    code, _, err = await run("share", "list", "--url", "http://127.0.0.1:9")
    assert (code, "no sidecar answers at http://127.0.0.1:9" in err) == (1, True)
    code, _, err = await run("share", "list", "--url", "nonsense")
    assert (code, "--url" in err) == (2, True)
    async with start_sidecar(KEYED) as sidecar:
        code, _, err = await ask(sidecar, "share", "list", VOICEGW_API_KEY="")
        assert (code, "set VOICEGW_API_KEY" in err) == (1, True)
        code, _, err = await ask(sidecar, "share", "list", VOICEGW_API_KEY="wrong-key")
        assert (code, "wrong-key" in err) == (1, False)


async def test_listings_know_projects_made_at_run_time(start_sidecar: StartSidecar) -> None:
    async with start_sidecar() as sidecar:
        body = {"project_id": "made", "name": "Made here", "routing": {"rosters": {
            "stt": ["deepgram"], "llm": ["groq"], "tts": ["cartesia"]}}}  # fmt: skip
        async with sidecar.http.post(f"{sidecar.url}/v1/projects", json=body) as response:
            assert response.status == 201
        config = ("--config", str(sidecar.config))
        assert "Made here" in (await run("projects", *config))[1]
        assert (await run("costs", "--project", "made", *config))[0] == 0
        code, out, _ = await run("route", "simulate", "made", *config)
        assert (code, "Predicted total: 480 ms" in out) == (0, True)
        assert (await run("route", "show", "nope", *config))[0] == 2

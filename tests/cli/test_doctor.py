"""``doctor``: what it finds, what it says to do, and that it leaves everything as it was."""

from __future__ import annotations

import asyncio
import datetime
import email.utils
import hashlib
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from tests.cli.test_commands import run
from tests.conftest import StartSidecar
from tests.sidecar import raw_server, read_request
from voicegw_sidecar.cli.diagnosis import Verdict
from voicegw_sidecar.cli.doctor_machine import room
from voicegw_sidecar.cli.doctor_providers import addresses
from voicegw_sidecar.cli.variables import KEYS
from voicegw_sidecar.settings import catalog_of, load_settings
from voicegw_sidecar.store.migrate import migrate

CANARY = "S3CRET-key-of-nobody"
NO_KEYS = {name: "" for names in KEYS.values() for name in names}
NOBODY = "http://127.0.0.1:9"


class Found:
    """What one run of ``doctor --json`` said."""

    def __init__(self, code: int, answer: dict[str, Any]) -> None:
        self.code, self.answer = code, answer
        self.checks = {check["name"]: check for check in answer["checks"]}
        assert [check["number"] for check in answer["checks"]] == list(range(1, len(answer["checks"]) + 1))
        for check in answer["checks"]:
            assert bool(check["fix"]) is (check["status"] != "ok"), check

    def status(self, name: str) -> str:
        return str(self.checks[name]["status"])

    def told(self, name: str) -> str:
        return f"{self.checks[name]['detail']} {self.checks[name]['fix']}"


async def doctor(folder: Path, config: str = "", *words: str, **environ: str) -> Found:
    (folder / "voicegw.yaml").write_text(f"cost_tracking: {{db_path: {folder / 'voicegw.db'}}}\n{config}")
    code, out, err = await run(
        "doctor", "--json", *words, cwd=folder, **{**NO_KEYS, "HOME": str(folder), "VOICEGW_PORT": "0", **environ}
    )
    assert err == ""
    assert CANARY not in out
    return Found(code, msgspec.json.decode(out))


@asynccontextmanager
async def vendor(ahead_s: float = 0.0, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that answers every request with 404 and its own time; yields its base URL."""
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        heads.append(head)
        when = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=ahead_s)
        date = email.utils.format_datetime(when, usegmt=True)
        writer.write(f"HTTP/1.1 404 Not Found\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(script, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'http' if tls is None else 'https'}://localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
    for head in heads:
        assert head.startswith(b"HEAD / HTTP/1.1\r\n")
        assert b"authorization" not in head.lower()
        assert CANARY.encode() not in head


def certified(folder: Path, days: int) -> ssl.SSLContext:
    """Make a certificate for localhost; its own authority is ``folder/authority.pem``."""
    key, certificate = folder / "key.pem", folder / "authority.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", str(days), "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_before_the_first_start_nothing_fails_and_nothing_is_made(tmp_path: Path) -> None:
    found = await doctor(tmp_path)
    assert (found.code, found.answer["ok"]) == (0, True)
    assert list(found.checks) == ["configuration", "keys", "certificates", "database", "port", "disk"]
    assert "made at the first start" in found.told("database")
    assert [entry.name for entry in tmp_path.iterdir()] == ["voicegw.yaml"]


async def test_as_text_each_check_is_a_line_with_its_fix_below(tmp_path: Path) -> None:
    (tmp_path / "voicegw.yaml").write_text(f"cost_tracking: {{db_path: {tmp_path}}}\nserve: {{port: 0}}\n")
    code, out, err = await run("doctor", cwd=tmp_path, **NO_KEYS, HOME=str(tmp_path))
    assert (code, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == f" 1 ok    configuration  — {tmp_path / 'voicegw.yaml'}"
    assert lines[3].startswith(" 4 FAIL  database       — ")
    assert lines[4].startswith("         ")
    assert "cost_tracking.db_path" in lines[4]
    assert [line[:2].strip() for line in lines if line[1] != " "] == ["1", "2", "3", "4", "5", "6"]


async def test_a_configuration_that_cannot_be_read_ends_it(tmp_path: Path) -> None:
    found = await doctor(tmp_path, "projects: {acme: {budgt_action: warn}}\nserve: {port: fast}\n")
    assert (found.code, found.answer["ok"], list(found.checks)) == (2, False, ["configuration"])
    assert "2 faults" in found.told("configuration")
    assert "did you mean budget_action?" in found.told("configuration")
    assert "serve.port: " in found.told("configuration")
    code, out, err = await run("doctor", "--config", "nowhere.yaml", cwd=tmp_path)
    assert (code, err) == (2, "")
    assert "nowhere.yaml: no such file" in out


async def test_keys_are_told_by_who_holds_them(tmp_path: Path) -> None:
    config = """
providers: {openai: {api_key: "${OPENAI_API_KEY}"}}
projects:
  acme: {routing: {rosters: {stt: [deepgram], llm: [openai], tts: [kokoro]}}}
  globex: {providers: {deepgram: {api_key: "${GLOBEX_KEY}"}}, routing: {rosters: {stt: [deepgram]}}}
"""
    keys = {"OPENAI_API_KEY": CANARY, "GLOBEX_KEY": CANARY, "CARTESIA_API_KEY": CANARY}
    found = await doctor(tmp_path, config, "--offline", **keys)
    assert (found.code, found.status("keys")) == (0, "warn")
    assert found.checks["keys"]["detail"] == "configured: openai, deepgram; agents bring their own: cartesia"
    assert found.checks["keys"]["fix"] == (
        'add deepgram: {api_key: "${DEEPGRAM_API_KEY}"} under providers:, '
        "or /v1 refuses what the rosters of acme give to deepgram"
    )
    found = await doctor(tmp_path, "projects: {acme: {agent_keys: [an-agent-key]}}", "--offline", GROQ_API_KEY=CANARY)
    assert "calls to groq with an agent key of acme are refused" in found.told("keys")


async def test_providers_that_answer_and_those_that_do_not(tmp_path: Path) -> None:
    async with vendor() as url:
        config = f"providers: {{openai: {{base_url: '{url}'}}, ollama: {{base_url: '{NOBODY}'}}}}\n"
        found = await doctor(tmp_path, config)
        assert found.code == 0
        assert f"{url} answers in " in found.told("openai")
        assert "with status 404" in found.told("openai")
        assert (found.status("ollama"), found.status("clock")) == ("warn", "ok")
        assert "start it" in found.told("ollama")
    found = await doctor(tmp_path, f"providers: {{openai: {{base_url: '{NOBODY}'}}}}")
    assert (found.code, found.status("openai"), found.status("clock")) == (1, "fail", "warn")
    assert "the connection is refused" in found.told("openai")


async def test_every_address_of_a_provider_is_asked(tmp_path: Path) -> None:
    async with vendor() as url:
        config = f"""
providers: {{openai: {{base_url: '{url}'}}}}
projects: {{acme: {{providers: {{openai: {{base_url: '{NOBODY}'}}}}}}, globex: {{}}}}
"""
        found = await doctor(tmp_path, config)
    asked = [check for check in found.answer["checks"] if check["name"] == "openai"]
    assert sorted((check["detail"].partition(" ")[0], check["status"]) for check in asked) == [
        (f"{NOBODY}:", "fail"), (url, "ok")]  # fmt: skip
    loaded = load_settings(str(tmp_path / "voicegw.yaml"), {"HOME": str(tmp_path)})
    vendors = addresses(catalog_of(loaded.config), {"ASSEMBLYAI_API_KEY": CANARY})
    assert {one.base_url for one in vendors if one.provider == "assemblyai"} == {
        "https://api.assemblyai.com", "https://streaming.assemblyai.com"}  # fmt: skip


async def test_a_provider_that_says_nothing_is_not_waited_for_long(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def babbling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await reader.read()

    async with raw_server(silent) as one, raw_server(babbling) as other:
        config = f"""
providers:
  openai: {{base_url: '{one}', timeouts: {{connect_s: 0.3}}}}
  groq: {{base_url: '{other}'}}
  deepgram: {{base_url: 'http://name.that.is.nowhere.invalid'}}
"""
        found = await doctor(tmp_path, config)
    assert found.code == 1
    assert "no answer within 0.3 s" in found.told("openai")
    assert "does not speak HTTP" in found.told("groq")
    assert "its name cannot be resolved" in found.told("deepgram")


@pytest.mark.parametrize(("ahead_s", "status", "said"), [
    (20.0, "ok", "within 30 s of one provider"), (300.0, "warn", " s behind one provider"),
    (-300.0, "warn", " s ahead of one provider"),
])  # fmt: skip
async def test_a_clock_that_is_wrong_is_told(tmp_path: Path, ahead_s: float, status: str, said: str) -> None:
    async with vendor(ahead_s) as url:
        found = await doctor(tmp_path, f"providers: {{openai: {{base_url: '{url}'}}}}")
    assert (found.code, found.status("clock")) == (0, status)
    assert said in found.told("clock")


@pytest.mark.parametrize(("days", "status"), [(5, "warn"), (60, "ok")])
async def test_a_certificate_that_ends_soon_is_told(tmp_path: Path, days: int, status: str) -> None:
    async with vendor(tls=certified(tmp_path, days)) as url:
        config = f"providers: {{openai: {{base_url: '{url}'}}}}"
        found = await doctor(tmp_path, config, SSL_CERT_FILE=str(tmp_path / "authority.pem"), SSL_CERT_DIR="")
        assert (found.code, found.status("openai")) == (0, status)
        assert ("expires in" in found.told("openai")) is (status == "warn")
        assert "1 authorities" in found.told("certificates")
        found = await doctor(tmp_path, config, SSL_CERT_FILE=str(tmp_path / "none.pem"), SSL_CERT_DIR="")
    assert found.code == 1
    assert "its certificate is not accepted: self-signed certificate" in found.told("openai")
    assert (found.status("certificates"), "names" in found.told("certificates")) == ("warn", True)


def digests(folder: Path) -> dict[str, str]:
    """Return what is in a folder; not SQLite's shared memory, which readers write to."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if not path.name.endswith("-shm")
    }


async def test_beside_a_running_sidecar(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        before = set(digests(tmp_path))
        code, out, _ = await run(
            "doctor", "--json", "--offline", "--config", str(sidecar.config), **NO_KEYS, VOICEGW_PORT=str(sidecar.port)
        )
        assert set(digests(tmp_path)) == before
    found = Found(code, msgspec.json.decode(out))
    assert (code, found.status("port"), found.status("database")) == (0, "ok", "ok")
    assert "a sidecar 0.1.0 runs there" in found.told("port")
    assert f"in use by process {(tmp_path / 'voicegw.db.lock').read_text().strip()}, intact" in found.told("database")


async def test_after_a_sidecar_the_database_is_looked_into_and_left_alone(
    start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    async with start_sidecar():
        pass
    config, before = "storage: {retention_days: 90}\n", digests(tmp_path)
    found = await doctor(tmp_path, config)
    after = digests(tmp_path)
    assert {name for name in after if after[name] != before.get(name)} == {"voicegw.yaml"}  # this test wrote it
    assert (found.status("database"), "intact" in found.told("database")) == ("ok", True)
    (tmp_path / "voicegw.db-shm").unlink(missing_ok=True)
    before = digests(tmp_path)
    await doctor(tmp_path, config)
    assert digests(tmp_path) == before
    assert not (tmp_path / "voicegw.db-shm").exists()


def made(path: Path, *statements: str) -> None:
    connection = apsw.Connection(str(path))
    migrate(connection)
    for statement in statements:
        connection.execute(statement)
    connection.close()


async def test_databases_that_cannot_be_used(tmp_path: Path) -> None:
    database = tmp_path / "voicegw.db"
    made(database, "PRAGMA user_version = 900")
    found = await doctor(tmp_path)
    assert (found.code, found.status("database")) == (1, "fail")
    assert "has schema 900" in found.told("database")
    database.write_bytes(b"no database at all, but long enough to be looked at as one" * 20)
    assert "NotADBError" in (await doctor(tmp_path)).told("database")
    database.unlink()
    connection = apsw.Connection(str(database))
    connection.execute("CREATE TABLE somebody (elses TEXT)")
    connection.close()
    assert "another program's database" in (await doctor(tmp_path)).told("database")
    database.unlink()
    made(database, "CREATE TABLE filler (text TEXT)", *["INSERT INTO filler VALUES (hex(randomblob(500)))"] * 20)
    content = bytearray(database.read_bytes())
    content[-4096:-4080] = b"\xff" * 16  # the head of a page of rows
    database.write_bytes(content)
    found = await doctor(tmp_path)
    assert (found.code, found.status("database")) == (1, "fail")
    assert "is damaged" in found.told("database")


async def test_an_older_database_is_brought_up_at_the_next_start_only(tmp_path: Path) -> None:
    made(tmp_path / "voicegw.db", "PRAGMA user_version = 1")
    before = digests(tmp_path)["voicegw.db"]
    found = await doctor(tmp_path)
    assert (found.code, "schema 1, brought to " in found.told("database")) == (0, True)
    assert digests(tmp_path)["voicegw.db"] == before


async def test_a_port_of_another_program_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        found = await doctor(tmp_path, VOICEGW_PORT=str(port))
        assert (found.code, found.status("port")) == (1, "fail")
        assert f"127.0.0.1:{port} is in use by another program" in found.told("port")
        found = await doctor(tmp_path, f"serve: {{health_port: {port}}}")
        assert (found.code, found.status("port"), found.status("health_port")) == (1, "ok", "fail")
        assert "choose another with serve.health_port" in found.told("health_port")
    found = await doctor(tmp_path, VOICEGW_PORT=str(port))
    assert (found.code, found.told("port")) == (0, f"127.0.0.1:{port} is free None")
    found = await doctor(tmp_path, VOICEGW_HOST="192.0.2.1", VOICEGW_PORT="8080", VOICEGW_API_KEY=CANARY)
    assert (found.code, found.status("port")) == (1, "fail")


def test_room_is_told_by_what_is_needed(tmp_path: Path) -> None:
    more_than_any_disk_mib = 10**12
    for wanted_mib, least_mib, verdict in (
        (0, 0, Verdict.OK), (more_than_any_disk_mib, 0, Verdict.WARN),
        (more_than_any_disk_mib, more_than_any_disk_mib, Verdict.FAIL),
    ):  # fmt: skip
        assert room("disk", tmp_path, wanted_mib, least_mib, "the database").verdict is verdict

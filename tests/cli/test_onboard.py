"""``onboard``: what it asks, what it writes, and that what it writes can be used."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import CTRL_D, on_terminal
from tests.cli.test_commands import run
from tests.sidecar import raw_server, read_request
from tests.simulator.conftest import quick
from voicegw_sidecar.cli.first_file import Answers, text_of
from voicegw_sidecar.cli.local_servers import answering
from voicegw_sidecar.cli.variables import KEYS
from voicegw_sidecar.config import Config
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.settings import load_settings
from voicegw_sidecar.simulator import Simulator

CANARY = "S3CRET-key-of-nobody"
NO_KEYS = {name: "" for names in KEYS.values() for name in names}
ALL_KEYS = {**NO_KEYS, **{names[0]: CANARY for names in KEYS.values()}}
COMMAND = (sys.executable, "-m", "voicegw_sidecar", "onboard")


async def onboard(folder: Path, *words: str, **environ: str) -> tuple[int, str, str]:
    return await run("onboard", *words, cwd=folder, **{**NO_KEYS, "HOME": str(folder), **environ})


def written(folder: Path, **environ: str) -> Config:
    return load_settings(str(folder / "voicegw.yaml"), {"HOME": str(folder), **environ}).config


async def test_what_it_writes_passes_check_and_has_no_key_in_it(tmp_path: Path) -> None:
    code, out, err = await onboard(tmp_path, "--yes", "--project", "acme", "--port", "9000", **ALL_KEYS)
    assert (code, err) == (0, "")
    text = (tmp_path / "voicegw.yaml").read_text(encoding="utf-8")
    assert CANARY not in text + out
    found = await run("check", cwd=tmp_path, HOME=str(tmp_path), **ALL_KEYS)
    assert found == (0, f"{tmp_path / 'voicegw.yaml'} is valid.\n", "")
    config = written(tmp_path, **ALL_KEYS)
    assert (config.default_project, config.serve.port) == ("acme", 9000)
    assert {
        name: entry.api_key and entry.api_key.reveal() for name, entry in config.providers.items()
    } == dict.fromkeys(KEYS, CANARY)
    rosters = config.projects["acme"].routing.rosters
    assert [entry.provider for entry in rosters.stt] == ["openai", "groq", "deepgram", "assemblyai", "elevenlabs"]
    assert [entry.provider for entry in rosters.llm] == ["openai", "anthropic", "groq"]
    assert [entry.provider for entry in rosters.tts] == ["openai", "cartesia", "elevenlabs"]
    parts = ("default_project:", "projects:", "    routing:", "providers:", "timezone:", "serve:")
    lines = text.splitlines()
    for part in parts:
        at = next(number for number, line in enumerate(lines) if line.startswith(part))
        assert lines[at - 1].lstrip().startswith("#"), part


async def test_what_it_writes_can_be_routed_by(tmp_path: Path) -> None:
    await onboard(tmp_path, "--yes", "--project", "acme", **ALL_KEYS)
    code, out, err = await run("route", "simulate", "acme", cwd=tmp_path, HOME=str(tmp_path), **ALL_KEYS)
    assert (code, err) == (0, "")
    assert "STT: groq (200 ms baseline)" in out


async def test_the_lines_to_paste_are_those_of_the_project_the_port_and_the_providers(tmp_path: Path) -> None:
    keys = {"DEEPGRAM_API_KEY": CANARY, "OPENAI_API_KEY": CANARY}
    _, out, _ = await onboard(tmp_path, "--yes", "--project", "acme", "--port", "9000", **keys)
    base = "http://127.0.0.1:9000/p/acme"
    for line in (
        f'openai.LLM(base_url="{base}/openai/v1")', f'deepgram.STT(base_url="{base}/deepgram/v1/listen")',
        f'OpenAILLMService(base_url="{base}/openai/v1")', f'DeepgramSTTService(base_url="{base}/deepgram")',
        f'AsyncOpenAI(base_url="{base}/openai/v1")',
        f"export LIVEKIT_INFERENCE_URL={base}/v1 LIVEKIT_API_KEY=acme LIVEKIT_API_SECRET=anything",
    ):  # fmt: skip
        assert f"  {line}\n" in out
    assert not [name for name in ("cartesia", "groq", "anthropic", "ollama") if name in out.lower()]
    (tmp_path / "voicegw.yaml").unlink()
    _, out, _ = await onboard(tmp_path, "--yes", OPENAI_API_KEY=CANARY)
    assert 'openai.LLM(base_url="http://127.0.0.1:8080/openai/v1")' in out
    _, out, _ = await onboard(tmp_path, "--yes", "--force", DEEPGRAM_API_KEY=CANARY)
    assert "LIVEKIT_INFERENCE_URL" not in out  # there is no language model


async def test_a_provider_without_a_key_here_waits_for_it(tmp_path: Path) -> None:
    code, out, _ = await onboard(tmp_path, "--yes", "--providers", "cartesia, elevenlabs", ELEVENLABS_API_KEY=CANARY)
    assert (code, "CARTESIA_API_KEY is not set here" in out) == (0, True)
    config = written(tmp_path, ELEVENLABS_API_KEY="e")
    assert config.providers["cartesia"].api_key is None
    assert [entry.provider for entry in config.projects["default"].routing.rosters.tts] == ["elevenlabs"]
    later = written(tmp_path, ELEVENLABS_API_KEY="e", CARTESIA_API_KEY="c").providers["cartesia"]
    assert later.api_key is not None
    assert later.api_key.reveal() == "c"


@pytest.mark.parametrize("chosen", [(), *((name,) for name in BY_ID), tuple(BY_ID)])
@pytest.mark.parametrize("environ", [NO_KEYS, ALL_KEYS])
def test_every_choice_makes_a_valid_file(tmp_path: Path, chosen: tuple[str, ...], environ: dict[str, str]) -> None:
    (tmp_path / "voicegw.yaml").write_text(text_of(Answers("acme", chosen, 8080), environ), encoding="utf-8")
    assert set(written(tmp_path, **environ).providers) == set(chosen)


async def test_it_never_overwrites_a_file(tmp_path: Path) -> None:
    path = tmp_path / "voicegw.yaml"
    path.write_text("# mine\n")
    code, out, err = await onboard(tmp_path, "--yes")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "--force" in err
    assert path.read_text() == "# mine\n"
    assert (await onboard(tmp_path, "--yes", "--force"))[0] == 0
    assert "default_project" in path.read_text()
    dangling = tmp_path / "link.yaml"
    dangling.symlink_to(tmp_path / "nowhere.yaml")
    assert (await onboard(tmp_path, "--yes", "--output", "link.yaml"))[0] == 1
    assert not (tmp_path / "nowhere.yaml").exists()
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["link.yaml", "voicegw.yaml"]


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("--project", "Acme"), 2, "did you mean acme?"), (("--project", ""), 2, "--project"),
        (("--port", "0"), 2, "--port"), (("--port", "65536"), 2, "--port"),
        (("--providers", "opnai"), 2, "did you mean openai?"), (("--output", "no/such/folder.yaml"), 1, "no such file"),
        (("--output", "."), 1, "exists already"), (("more",), 2, "more"),
    ],
)  # fmt: skip
async def test_bad_words_are_one_line_and_nothing_is_written(
    tmp_path: Path, words: tuple[str, ...], code: int, named: str
) -> None:
    found, out, err = await onboard(tmp_path, "--yes", *words)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert named in err
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_it_asks_and_asks_again(tmp_path: Path) -> None:
    environ = {**NO_KEYS, "HOME": str(tmp_path), "OPENAI_API_KEY": CANARY}
    with on_terminal(*COMMAND, cwd=tmp_path, environ=environ) as wizard:
        wizard.until("openai: OPENAI_API_KEY is set")
        wizard.until("Project [default]: ")
        wizard.type("Not A Project\n")
        assert "expected a project id" in wizard.until("Project [default]: ")
        wizard.type("acme\n")
        wizard.until("Providers, separated by commas [openai")
        wizard.type("openai,nonsense\n")
        assert "expected some of" in wizard.until("Providers, separated by commas")
        wizard.type("openai, deepgram\n")
        wizard.until("Port [8080]: ")
        wizard.type("http\n")
        assert "expected a port number" in wizard.until("Port [8080]: ")
        wizard.type("\n")
        assert wizard.end() == 0
    assert CANARY not in wizard.seen
    config = written(tmp_path, OPENAI_API_KEY="k")
    assert (config.default_project, set(config.providers), config.serve.port) == ("acme", {"openai", "deepgram"}, 8080)


@pytest.mark.parametrize(("is_interrupted", "code"), [(True, 130), (False, 1)])
def test_who_leaves_the_questions_leaves_nothing_behind(tmp_path: Path, is_interrupted: bool, code: int) -> None:
    with on_terminal(*COMMAND, cwd=tmp_path, environ={**NO_KEYS, "HOME": str(tmp_path)}) as wizard:
        wizard.until("Project [default]: ")
        if is_interrupted:
            assert wizard.interrupted() == code
        else:
            wizard.type(CTRL_D)
            assert wizard.end() == code
    said = "interrupted" if is_interrupted else "the answers ended"
    assert f"voicegw-sidecar: {said}; nothing was written\n" in wizard.seen
    assert "Traceback" not in wizard.seen
    assert list(tmp_path.iterdir()) == []


async def test_local_servers_are_known_by_what_they_answer() -> None:
    async with Simulator(quick()) as simulator:
        addresses = {name: simulator.base_url(name) for name in ("ollama", "whisper", "kokoro")}
        assert await asyncio.to_thread(answering, addresses) == ("ollama",)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        body = {b"/v1/models": b'{"object":"list","data":[]}', b"/voices": b'{"en_US-lessac-medium":{}}'}.get(
            head.split(b" ")[1], b"<html>another program</html>"
        )
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()

    async with raw_server(script) as url:
        expected = ("whisper", "kokoro", "piper")
        elsewhere = {"ollama": f"{url}/other"}
        assert await asyncio.to_thread(answering, {**dict.fromkeys(expected, url), **elsewhere}) == expected
    assert answering({"ollama": url}) == ()

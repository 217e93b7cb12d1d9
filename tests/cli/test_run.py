"""``run``: an agent beside a sidecar, with real SDKs, real signals and a real terminal."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.cli.terminal import CTRL_C, CTRL_Z, on_terminal
from tests.conftest import StartSidecar
from tests.sidecar import raw_server
from tests.simulator.conftest import ANSWER, quick
from voicegw_sidecar.cli.variables import BASE_URLS, KEYS
from voicegw_sidecar.simulator import Simulator
from voicegw_sidecar.simulator.routes import PROVIDERS

CANARY = "S3CRET-key-of-nobody"
LIVEKIT = ("LIVEKIT_INFERENCE_URL", "LIVEKIT_INFERENCE_API_KEY", "LIVEKIT_INFERENCE_API_SECRET", "LIVEKIT_API_KEY",
           "LIVEKIT_API_SECRET")  # fmt: skip
UNSET = [*(name for names in KEYS.values() for name in names), *(base.name for base in BASE_URLS), *LIVEKIT]
ITSELF = (sys.executable, "-m", "voicegw_sidecar", "run")
LOCAL = ("ollama", "whisper", "kokoro", "piper")


def environment(folder: Path, **changes: str) -> dict[str, str]:
    found = {name: value for name, value in os.environ.items() if name not in UNSET and not name.startswith("VOICEGW")}
    return {**found, "HOME": str(folder), **changes}


def configured(folder: Path, more: str = "", port: int = 0) -> None:
    text = f"cost_tracking: {{db_path: {folder / 'voicegw.db'}}}\nserve: {{port: {port}, drain_seconds: 5}}\n{more}"
    (folder / "voicegw.yaml").write_text(text, encoding="utf-8")


@asynccontextmanager
async def started(
    folder: Path, *words: str, stdin: int = DEVNULL, **changes: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *ITSELF, *words, cwd=folder, env=environment(folder, **changes), stdin=stdin, stdout=PIPE, stderr=PIPE,
        process_group=0,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def run(folder: Path, *words: str, **changes: str) -> tuple[int, str, str]:
    async with started(folder, *words, **changes) as process:
        out, err = await asyncio.wait_for(process.communicate(), 50)
    assert process.returncode is not None
    assert "Traceback" not in err.decode()
    return process.returncode, out.decode(), err.decode()


def sidecar_process(folder: Path) -> int:
    return int((folder / "voicegw.db.lock").read_text())


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


# Nothing but what the vendors' documentation has: no address anywhere.
AGENT = """
import asyncio, sys
from anthropic import Anthropic
from groq import Groq
from livekit.agents import inference, llm
from livekit.agents.utils import http_context
from livekit.plugins import anthropic, openai
from openai import OpenAI

ASKED = [{"role": "user", "content": "Where is my order?"}]

async def answer(model):
    chat = llm.ChatContext.empty()
    chat.add_message(role="user", content="Where is my order?")
    async with model.chat(chat_ctx=chat) as stream:
        text = "".join([chunk.delta.content or "" async for chunk in stream if chunk.delta])
    await model.aclose()
    return text

async def realtime():
    session = openai.realtime.RealtimeModel(model="gpt-realtime").session()
    created = asyncio.get_running_loop().create_future()
    session.on("generation_created", lambda event: created.done() or created.set_result(event))
    chat = llm.ChatContext.empty()
    chat.add_message(role="user", content="Where is my order?")
    await session.update_chat_ctx(chat)
    session.generate_reply()
    event = await asyncio.wait_for(created, 20)
    async for message in event.message_stream:
        async for _ in message.audio_stream:
            pass
    await session.aclose()
    return "heard"

async def plugins():
    async with http_context.open():
        for model in (openai.LLM(model="gpt-4.1-mini"), anthropic.LLM(model="claude-haiku-4-5"),
                      inference.LLM(model="groq/llama-3.3-70b-versatile")):
            print(await answer(model))
        print(await realtime())

print(OpenAI().chat.completions.create(model="gpt-4.1-mini", messages=ASKED).choices[0].message.content)
print(Groq().chat.completions.create(model="llama-3.3-70b-versatile", messages=ASKED).choices[0].message.content)
message = Anthropic().messages.create(model="claude-haiku-4-5", max_tokens=99, messages=ASKED)
print(message.content[0].text)
asyncio.run(plugins())
sys.exit(3)
"""


async def test_unchanged_sdks_and_plugins_go_through_the_sidecar_and_are_told_of(tmp_path: Path) -> None:
    keys = {names[0]: CANARY for provider, names in KEYS.items() if provider != "elevenlabs"}
    async with Simulator(quick()) as simulator:
        lines = [f"  {name}: {{base_url: '{simulator.base_url(name)}'"
                 + ("" if name in LOCAL else f", api_key: key-of-{name}") + "}" for name in PROVIDERS]  # fmt: skip
        configured(tmp_path, "projects: {acme: {}}\nproviders:\n" + "\n".join(lines) + "\n")
        code, out, err = await run(tmp_path, "--project", "acme", "--", sys.executable, "-c", AGENT, **keys)
        asked = {(entry.provider, entry.endpoint) for entry in simulator.ledger.entries() if entry.endpoint}
    assert out.splitlines() == [ANSWER] * 6 + ["heard"], err
    assert code == 3
    assert asked >= {("openai", "openai.chat"), ("openai", "openai.realtime"), ("groq", "groq.chat"),
                     ("anthropic", "anthropic.messages")}  # fmt: skip
    assert CANARY not in err
    base = re.search(r"at (http://127\.0\.0\.1:\d+), started for this run", err)
    assert base is not None
    for line in ("OPENAI_BASE_URL={}/p/acme/openai/v1", "ANTHROPIC_BASE_URL={}/p/acme/anthropic",
                 "GROQ_BASE_URL={}/p/acme/groq", "LIVEKIT_INFERENCE_URL={}/p/acme/v1",
                 "LIVEKIT_INFERENCE_API_KEY=acme"):  # fmt: skip
        assert f"  {line.format(base.group(1))}\n" in err
    assert "CARTESIA_BASE_URL" not in err
    report = err.partition("The agent ended with code 3.")[2]
    assert re.search(r"^anthropic +llm +2 +0 +0\.0\d+$", report, re.MULTILINE), report
    assert re.search(r"^groq +llm +2 +0 +0\.0\d+$", report, re.MULTILINE), report
    assert re.search(r"^openai +llm +2 +0 +0\.0\d+$", report, re.MULTILINE), report
    assert re.search(r"^openai +s2s +1 +0 +", report, re.MULTILINE), report
    assert "Never seen: deepgram, assemblyai, cartesia, elevenlabs, ollama, whisper, kokoro, piper." in report
    assert f'cartesia.TTS(base_url="{base.group(1)}/p/acme/cartesia")' in report
    assert "openai.LLM(" not in report
    assert not is_running(sidecar_process(tmp_path))


CURL = """
import os, sys, urllib.request
request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", sys.argv[1].encode())
urllib.request.urlopen(request).read()
"""


async def test_a_sidecar_that_listens_already_is_used_and_goes_on(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    async with (
        Simulator(quick()) as simulator,
        start_sidecar("projects: {acme: {}, globex: {}}\n", openai=simulator.base_url("openai")) as sidecar,
    ):
        configured(tmp_path / "agent", "projects: {acme: {}}\n", sidecar.port)
        async with sidecar.http.post(f"{sidecar.url}/p/globex/openai/v1/chat/completions", data=b"{}") as response:
            await response.read()
        body = '{"model": "no-such-model", "messages": [{"role": "user", "content": "hi"}]}'
        words = ("--project", "acme", "--", sys.executable, "-c", CURL, body)
        code, _, err = await run(tmp_path / "agent", *words)
        assert (code, (await sidecar.get_json("/health"))["status"]) == (0, "ok")
    assert f"at {sidecar.url}, which runs already, and goes on afterwards." in err
    assert "Exchanges of project acme, all its agents together, since" in err
    assert re.search(r"^openai +llm +1 +0 +unknown$", err, re.MULTILINE), err
    assert re.search(r"^total +1 +0 +unknown$", err, re.MULTILINE), err
    assert not (tmp_path / "agent" / "voicegw.db").exists()


async def test_figures_need_the_key_that_the_configuration_has(tmp_path: Path) -> None:
    async with Simulator(quick()) as simulator:
        providers = f"providers: {{openai: {{base_url: '{simulator.base_url('openai')}'}}}}\n"
        configured(tmp_path, f"auth: {{api_keys: [{CANARY}]}}\n" + providers)
        body = '{"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hi"}]}'
        code, _, err = await run(tmp_path, "--", sys.executable, "-c", CURL, body)
    assert (code, CANARY in err) == (0, False)
    assert re.search(r"^openai +llm +1 +0 +0\.0\d+$", err, re.MULTILINE), err


async def test_without_the_key_or_without_records_there_are_no_figures(
    start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    (tmp_path / "agent").mkdir()
    async with start_sidecar(f"auth: {{api_keys: [{CANARY}]}}\n") as sidecar:
        configured(tmp_path / "agent", port=sidecar.port)
        code, _, err = await run(tmp_path / "agent", "--", "true")
    assert code == 0
    assert "answers /v1/projects/default with status 401; set VOICEGW_API_KEY" in err
    assert "No figures: " in err
    (tmp_path / "voicegw.yaml").write_text(
        f"cost_tracking: {{enabled: false, db_path: {tmp_path / 'other.db'}}}\nserve: {{port: 0}}\n"
    )
    code, _, err = await run(tmp_path, "--", "true")
    assert (code, "No figures: cost_tracking.enabled is false." in err) == (0, True)


async def test_who_does_not_listen_still_gets_the_exit_code(tmp_path: Path) -> None:
    configured(tmp_path)
    process = await asyncio.create_subprocess_shell(
        f"{shlex.join(ITSELF)} -- sh -c 'exit 6' 2>&1 | true; echo ${{PIPESTATUS[0]}}", executable="/bin/bash",
        cwd=tmp_path, env=environment(tmp_path), stdout=PIPE, stdin=DEVNULL,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(process.communicate(), 40)
    assert out == b"6\n"


async def test_only_lines_of_clients_that_the_agent_can_have_are_shown(tmp_path: Path) -> None:
    configured(tmp_path)
    folder = tmp_path / "venv"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "agent").write_text("#!/bin/sh\n")
    (folder / "bin" / "agent").chmod(0o755)
    lines = r"^  (\w+) [\w.]+ +\S*(?:http|ws)://"
    _, _, err = await run(tmp_path, "--", "venv/bin/agent", DEEPGRAM_API_KEY=CANARY)
    assert set(re.findall(lines, err, re.MULTILINE)) == {"LiveKit", "Pipecat", "deepgram"}
    (folder / "lib" / "python3.12" / "site-packages" / "livekit" / "agents").mkdir(parents=True)
    _, _, err = await run(tmp_path, "--", "venv/bin/agent", DEEPGRAM_API_KEY=CANARY)
    assert set(re.findall(lines, err, re.MULTILINE)) == {"LiveKit"}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("true",), 0), (("sh", "-c", "exit 7"), 7), (("sh", "-c", "kill -9 $$"), 137), (("sh", "-c", "kill $$"), 143),
        (("./no-interpreter",), 127), (("./no-program",), 126),
    ],
)  # fmt: skip
async def test_the_exit_code_is_the_agents(tmp_path: Path, command: tuple[str, ...], code: int) -> None:
    configured(tmp_path)
    for name, content in (("no-interpreter", "#!/no/such/interpreter\n"), ("no-program", "\x00 what is this\n")):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    found, out, err = await run(tmp_path, "--quiet", "--", *command)
    assert (found, out) == (code, "")
    own = [line for line in err.splitlines() if line.startswith("voicegw-sidecar: ")]
    assert len(own) == (code in (126, 127))
    assert not is_running(sidecar_process(tmp_path))


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("--", "no-such-command"), 127, "no-such-command: no such command"), ((), 2, "expected a command"),
        (("--",), 2, "expected a command"), (("--port", "x", "--", "true"), 2, "--port"),
        (("--prot", "1", "--", "true"), 2, "--prot"), (("--config", "nowhere.yaml", "--", "true"), 2, "nowhere.yaml"),
    ],
)  # fmt: skip
async def test_wrong_usage_is_one_line_and_starts_nothing(
    tmp_path: Path, words: tuple[str, ...], code: int, named: str
) -> None:
    configured(tmp_path)
    found, out, err = await run(tmp_path, *words)
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert named in err
    assert not (tmp_path / "voicegw.db").exists()


async def test_everything_after_the_dashes_is_the_agents(tmp_path: Path) -> None:
    configured(tmp_path)
    script = "import sys; print(sys.argv[1:], sys.stdin.read())"
    words = ("--quiet", "--", sys.executable, "-c", script, "--port", "1", "--", "--quiet", "-h")
    code, out, _ = await run(tmp_path, *words)
    assert (code, out) == (0, "['--port', '1', '--', '--quiet', '-h'] \n")


async def test_what_cannot_start_says_why_and_the_agent_is_not_run(tmp_path: Path) -> None:
    agent = ("--", "touch", str(tmp_path / "ran"))

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        await writer.drain()

    async with raw_server(other) as url:
        configured(tmp_path, port=int(url.rpartition(":")[2]))
        code, out, err = await run(tmp_path, *agent)
    assert (code, out) == (2, "")
    assert "is in use by another program" in err
    configured(tmp_path, "projects: {acme: {}}\n")
    code, out, err = await run(tmp_path, "--project", "globex", *agent)
    assert (code, out) == (2, "")
    assert "has no project 'globex'" in err
    assert not (tmp_path / "ran").exists()
    assert not is_running(sidecar_process(tmp_path))


COUNTING = """
import signal, sys
seen = []
def note(number, frame):
    seen.append(signal.Signals(number).name)
    print(seen, flush=True)
for name in (*sys.argv[1:], "SIGUSR2"):
    signal.signal(signal.Signals[name], note)
print("ready", flush=True)
while "SIGUSR2" not in seen:
    signal.pause()
sys.exit(9)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
async def test_a_signal_reaches_the_agent_once_and_the_sidecar_goes_after_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    configured(tmp_path)
    async with started(tmp_path, "--quiet", "--", sys.executable, "-c", COUNTING, number.name) as process:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 40) == b"ready\n"
        sidecar = sidecar_process(tmp_path)
        process.send_signal(number)
        assert await asyncio.wait_for(process.stdout.readline(), 20) == f"['{number.name}']\n".encode()
        assert is_running(sidecar)
        process.send_signal(signal.SIGUSR2)  # by then a second one would have come
        out, _ = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, out) == (9, f"['{number.name}', 'SIGUSR2']\n".encode())
    assert not is_running(sidecar)


async def test_a_signal_after_the_agent_ends_what_the_sidecar_still_waits_for(tmp_path: Path) -> None:
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()

    async with raw_server(silent) as url:
        (tmp_path / "voicegw.yaml").write_text(
            f"cost_tracking: {{db_path: {tmp_path / 'voicegw.db'}}}\nproviders: {{openai: {{base_url: '{url}'}}}}\n"
            "serve: {port: 0, drain_seconds: 3000}\n"
        )
        script = "import os; print(os.environ['OPENAI_BASE_URL'], flush=True); input()"
        async with started(tmp_path, "--quiet", "--", sys.executable, "-c", script, stdin=PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdin is not None
            base = (await asyncio.wait_for(process.stdout.readline(), 40)).decode().strip()
            async with aiohttp.ClientSession() as http:
                call = asyncio.ensure_future(http.post(f"{base}/chat/completions", data=b"{}"))  # another agent's
                await asyncio.wait_for(asked.wait(), 20)
                process.stdin.write(b"\n")
                assert b"draining running=1" in await asyncio.wait_for(process.stderr.readline(), 20)
                process.send_signal(signal.SIGTERM)
                assert await asyncio.wait_for(process.wait(), 20) == 0
                await asyncio.wait([call], timeout=10)
                assert call.exception() is not None or call.result().status >= 500


async def test_a_signal_before_there_is_an_agent_stops_what_was_begun(tmp_path: Path) -> None:
    configured(tmp_path)
    os.mkfifo(tmp_path / "fifo")  # a configuration that cannot be read yet: the sidecar starts and does not listen
    async with started(tmp_path, "--config", "fifo", "--quiet", "--", "touch", str(tmp_path / "ran")) as process:
        with await asyncio.to_thread(open, tmp_path / "fifo", "w") as fifo:  # run reads it, and goes on
            fifo.write((tmp_path / "voicegw.yaml").read_text())
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        async with asyncio.timeout(20):
            while not (begun := children.read_text().split()):
                await asyncio.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        out, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, out, err) == (143, b"", b"")
    assert not (tmp_path / "ran").exists()
    assert not is_running(int(begun[0]))


KILLING = """
import os, signal, sys
sidecar = open(sys.argv[1]).read().strip()
os.kill(int(sidecar), signal.SIGKILL)
while os.path.exists(f"/proc/{sidecar}"):  # until run has noticed
    pass
print("went on")
sys.exit(5)
"""


async def test_a_sidecar_that_dies_first_takes_the_agent_not_with_it(tmp_path: Path) -> None:
    configured(tmp_path)
    code, out, err = await run(tmp_path, "--", sys.executable, "-c", KILLING, str(tmp_path / "voicegw.db.lock"))
    assert (code, out) == (5, "went on\n")
    assert "voicegw-sidecar: the sidecar ended before the agent, by signal 9; " in err
    assert "No figures: the sidecar ended before it." in err


async def test_an_agent_that_hangs_up_in_the_midst_is_in_the_figures(tmp_path: Path) -> None:
    script = """
import os, socket
from urllib.parse import urlsplit
place = urlsplit(os.environ["OPENAI_BASE_URL"])
body = b'{"model":"gpt-4.1-mini","stream":true,"messages":[{"role":"user","content":"hi"}]}'
head = f"POST {place.path}/chat/completions HTTP/1.1\\r\\nHost: {place.netloc}\\r\\nContent-Length: {len(body)}"
connection = socket.create_connection((place.hostname, place.port))
connection.sendall(head.encode() + b"\\r\\n\\r\\n" + body)
connection.recv(100)
os._exit(0)
"""
    async with Simulator(quick()) as simulator:
        configured(tmp_path, f"providers: {{openai: {{base_url: '{simulator.base_url('openai')}'}}}}\n")
        code, _, err = await run(tmp_path, "--", sys.executable, "-c", script)
    assert code == 0
    assert re.search(r"^openai +llm +1 +0 +", err, re.MULTILINE), err
    assert "still open" not in err


def test_on_a_terminal_ctrl_c_reaches_the_agent_once(tmp_path: Path) -> None:
    configured(tmp_path)
    command = (*ITSELF, "--quiet", "--", sys.executable, "-c", COUNTING, "SIGINT")
    with on_terminal(*command, cwd=tmp_path, environ={"HOME": str(tmp_path)}) as shown:
        shown.until("ready\n")
        shown.type(CTRL_C)
        shown.until("['SIGINT']\n")
        shown.process.send_signal(signal.SIGUSR2)
        shown.until("['SIGINT', 'SIGUSR2']\n")
        assert shown.end() == 9


def test_in_a_shell_the_agent_reads_the_terminal_stops_and_goes_on(tmp_path: Path) -> None:
    configured(tmp_path)
    script = "while True:\n  line = input('agent> ')\n  print(line.upper())\n  if line == 'bye': break\n"
    (tmp_path / "agent.py").write_text(script)
    command = shlex.join((*ITSELF, "--quiet", "--", sys.executable, "agent.py"))
    environ = {"HOME": str(tmp_path), "PS1": "shell> ", "TERM": "dumb"}
    with on_terminal("bash", "--norc", "--noediting", "-i", cwd=tmp_path, environ=environ) as shown:
        shown.until("shell> ")
        shown.type(f"{command}; echo code $?\n")
        shown.until("agent> ")
        shown.type("one\n")
        shown.until("ONE\nagent> ")
        shown.type(CTRL_Z)
        shown.until("Stopped")
        shown.until("shell> ")
        shown.type("echo the shell is back\n")
        shown.until("\nthe shell is back\nshell> ")
        shown.type("fg\n")
        shown.until("agent.py")
        shown.type("two\n")
        shown.until("TWO\nagent> ")
        shown.type("bye\n")
        shown.until("BYE\n")
        shown.until("shell> ")
        shown.type("exit\n")
        assert shown.end() == 0
    assert not is_running(sidecar_process(tmp_path))

"""Every example holds its call: in its own process or with a telephone of the tests, before simulated providers."""

from __future__ import annotations

import asyncio
import os
import runpy
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from livekit.agents import NOT_GIVEN, AgentSession, llm, stt, tts
from livekit.agents.utils import http_context
from livekit.plugins import deepgram
from websockets.asyncio.client import connect

from tests.clients.cases.livekit import listening
from tests.conftest import StartSidecar
from tests.inference.conftest import VARIABLES
from tests.sessions.conversation import Mouth, until
from tests.sessions.livekit_phone import LiveKitPhone, Microphone
from tests.sidecar import Sidecar
from tests.simulator.sounds import PCM, spoken
from tests.unified.livekit_call import ANSWERS, SAYS, script
from voicegw_sidecar import inference
from voicegw_sidecar.settings import load_settings
from voicegw_sidecar.simulator import Simulator
from voicegw_sidecar.simulator.routes import PROVIDERS

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PROD = """
projects:
  prod:
    daily_budget: {budget}
    budget_action: {action}
    routing: {{rosters: {{stt: [deepgram], llm: [openai], tts: [cartesia]}}}}
    throttle_to: {{stt: whisper/large-v3, llm: ollama/qwen2.5:3b, tts: kokoro}}
    providers: {{openai: {{api_key: k}}, deepgram: {{api_key: k}}, cartesia: {{api_key: k}}}}
"""
PLENTY, NEXT_TO_NOTHING = "50", "0.000001"
A_GREETING = "0.001"
_LEAD_S = 0.3  # of silence, which `spoken` begins with


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(script()) as running:
        yield running


def bases(simulator: Simulator) -> dict[str, str]:
    return {name: simulator.base_url(name) for name in PROVIDERS}


def environ(sidecar: Sidecar) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in VARIABLES and "LIVEKIT" not in name}
    return {**kept, "VOICEGW_URL": sidecar.url, "PYTHONWARNINGS": "ignore"}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_examples_are_short_and_tried(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 60
    assert f'"{path.name}"' in Path(__file__).read_text()


def test_the_examples_configuration_is_valid_and_theirs() -> None:
    loaded = load_settings(str(EXAMPLES / "voicegw.yaml"), {"OPENAI_API_KEY": "k", "HOME": "/home/agent"})
    project = loaded.config.projects["prod"]
    ours = yaml.safe_load(PROD.format(budget=PLENTY, action="throttle"))["projects"]["prod"]
    theirs = yaml.safe_load((EXAMPLES / "voicegw.yaml").read_text())["projects"]["prod"]
    assert (theirs["throttle_to"], theirs["budget_action"]) == (ours["throttle_to"], ours["budget_action"])
    assert project.routing.rosters.llm
    assert loaded.config.providers["openai"].api_key
    assert not loaded.config.providers["deepgram"].api_key


async def test_the_sidecar_serves_it(tmp_path: Path) -> None:
    own = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voicegw_sidecar", "serve", "--config", "examples/voicegw.yaml", "--port", "0",
        cwd=ROOT, env=own, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
        async with aiohttp.ClientSession() as http, http.get(f"{line.split()[-1]}/v1/projects") as answer:
            assert "prod" in {one["id"] for one in (await answer.json())["projects"]}
    finally:
        process.terminate()
        assert await process.wait() == 0


async def run(sidecar: Sidecar, name: str, *words: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / name), *words, env=environ(sidecar), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, out.decode(), errors.decode()


async def test_raw_sdk(start_sidecar: StartSidecar, simulator: Simulator) -> None:
    async with start_sidecar(PROD.format(budget=PLENTY, action="warn"), **bases(simulator)) as sidecar:
        assert await run(sidecar, "raw_sdk.py", "Where", "is it?") == (0, f"{ANSWERS[0]}\n", "")
        [row] = await sidecar.rows(1)
        assert (row.project, row.session_id, row.provider) == ("prod", "example-1", "anthropic")


@pytest.mark.parametrize(
    ("action", "stand_in", "code", "said", "rows"),
    [
        ("throttle", "ollama/qwen2.5:3b", 0, f"{ANSWERS[0]}\n", [("anthropic", "refused"), ("ollama", "ok")]),
        ("throttle", None, 1, "no answer: the daily budget of project prod", [("anthropic", "refused")]),
        ("block", "ollama/qwen2.5:3b", 1, "no answer: the daily budget of project prod", [("anthropic", "refused")]),
    ],
)
async def test_raw_sdk_once_the_budget_is_spent(
    start_sidecar: StartSidecar, simulator: Simulator, action: str, stand_in: str | None, code: int, said: str,
    rows: list[tuple[str, str]],
) -> None:  # fmt: skip
    more = PROD.format(budget=NEXT_TO_NOTHING, action=action)
    if stand_in is None:
        more = more.replace("llm: ollama/qwen2.5:3b, ", "")
    async with start_sidecar(more, **bases(simulator)) as sidecar:
        assert await run(sidecar, "raw_sdk.py") == (0, f"{ANSWERS[0]}\n", "")
        await sidecar.rows(1)
        got, out, errors = await run(sidecar, "raw_sdk.py")
        found = (await sidecar.rows(1 + len(rows)))[1:]
    assert (got, "Traceback" in errors) == (code, False)
    assert (out if code == 0 else errors).startswith(said)
    assert [(row.provider, row.status) for row in found] == rows


async def test_pipecat_bot(
    start_sidecar: StartSidecar, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    from pipecat.frames.frames import OutputAudioRawFrame
    from pipecat.serializers.protobuf import ProtobufFrameSerializer

    sound = spoken(SAYS[0], after_s=0.0)[round(_LEAD_S * PCM.bytes_per_s) :]
    async with start_sidecar(PROD.format(budget=PLENTY, action="warn"), **bases(simulator)) as sidecar:
        monkeypatch.setenv("VOICEGW_URL", sidecar.url)
        bot = asyncio.create_task(runpy.run_path(str(EXAMPLES / "pipecat_bot.py"))["main"](unused_tcp_port))
        code, mouth = ProtobufFrameSerializer(), Mouth()
        heard_s = 0.0
        async with asyncio.timeout(60):
            while True:
                try:
                    socket = await connect(f"ws://127.0.0.1:{unused_tcp_port}")
                    break
                except OSError:
                    await asyncio.sleep(0.05)

            async def speak() -> None:
                while True:
                    await socket.send(await code.serialize(OutputAudioRawFrame(await mouth.frame(), PCM.rate_hz, 1)))

            speaking = asyncio.create_task(speak())
            async for message in socket:
                frame: Any = await code.deserialize(message)
                heard_s += len(getattr(frame, "audio", b"")) / 2 / 24_000
                if heard_s > 0.3 and not simulator.ledger.entries("openai.chat") and not mouth.is_talking:
                    mouth.say(sound)
                if len([e for e in simulator.ledger.entries("cartesia.tts") if e.key and e.ended_ns]) >= 2:
                    break
            speaking.cancel()
            await socket.close()
            await bot
        [session] = (await sidecar.get_json("/v1/sessions?project=prod"))["sessions"]
        assert session["ended_at"] is not None
        rows = await sidecar.rows(at_least=3)
        assert {(row.project, row.session_id) for row in rows} == {("prod", session["id"])}
        assert {row.provider for row in rows} == {"deepgram", "openai", "cartesia"}


class Job:
    """As much of LiveKit's job as the example uses; the room's part is played by the telephone."""

    def __init__(self) -> None:
        self.room = NOT_GIVEN
        self.callbacks: list[Any] = []

    def add_shutdown_callback(self, callback: Any) -> None:
        self.callbacks.append(callback)


@pytest.mark.parametrize("action", ["warn", "throttle"])
async def test_livekit_agent(
    start_sidecar: StartSidecar, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    """The example's own entry point; where the greeting spends the budget, local models say all else."""
    budget = PLENTY if action == "warn" else A_GREETING
    more = PROD.format(budget=budget, action=action) + "  earlier: {}\n"
    async with start_sidecar(more, **bases(simulator)) as sidecar:
        monkeypatch.setenv("VOICEGW_URL", sidecar.url)
        earlier = inference.base_url("deepgram", project="earlier")  # what its calls cost is known from others
        await listening(lambda _: deepgram.STT(base_url=f"{earlier}/v1/listen", api_key="k"))("")
        example = runpy.run_path(str(EXAMPLES / "livekit_agent.py"))
        phone, job, sessions = LiveKitPhone(), Job(), []

        def conversation() -> AgentSession[None]:
            session: AgentSession[None] = example["conversation"]()
            session.input.audio, session.output.audio = Microphone(phone.mouth), phone
            sessions.append(session)
            return session

        example["answer"].__globals__["conversation"] = conversation
        async with http_context.open():
            await example["answer"](job)
            for number, words in enumerate(SAYS):
                await until(lambda so_far=number: phone.over == so_far + 1)  # type: ignore[misc]
                phone.mouth.say(spoken(words, after_s=0.0)[round(_LEAD_S * PCM.bytes_per_s) :])
            await until(lambda: phone.over == len(SAYS) + 1)
            models = [sessions[0].stt, sessions[0].llm, sessions[0].tts, sessions[0].current_agent.tts]
            await sessions[0].aclose()
            for model in models:
                if isinstance(model, stt.STT | llm.LLM | tts.TTS):
                    await model.aclose()
        for callback in job.callbacks:
            await callback()
        rows = [row for row in await sidecar.rows(at_least=6) if row.project == "prod"]
        [session] = (await sidecar.get_json("/v1/sessions?project=prod"))["sessions"]
    assert session["ended_at"] is not None
    assert {row.session_id for row in rows} == {session["id"]}
    served = {row.provider for row in rows if row.modality and row.status == "ok"}
    assert served == {"deepgram", "cartesia"} | ({"openai"} if action == "warn" else {"ollama", "kokoro"})

"""The demonstration: the real sidecar on its real port, simulated providers, and agents that talk.

Reads nothing of the user's and leaves nothing behind: its configuration and database live in a temporary
folder. No key and no network is needed.
"""

from __future__ import annotations

import asyncio
import signal
import statistics
import tempfile
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import aiohttp
from msgspec import Struct

from voicegw_sidecar import tasks
from voicegw_sidecar.ledger.calendar import period_days
from voicegw_sidecar.serve import Running, loop_factory, running
from voicegw_sidecar.settings import load_settings
from voicegw_sidecar.simulator import Script, Simulator
from voicegw_sidecar.simulator.agents import (
    Address,
    Before,
    Conduct,
    Progress,
    ProgressKind,
    run_agents,
    sidecar_address,
    troubles,
)
from voicegw_sidecar.store.queries.costs import Spending, spending
from voicegw_sidecar.store.queries.exchanges import Filter, Listing, exchanges
from voicegw_sidecar.terms import Modality, Status
from voicegw_sidecar.web.page_process import PageProcess

PROJECTS = ("acme", "globex", "initech")
FAILING_PROJECT = "globex"
NAMELESS_PROJECT = "acme"
_REPORT_EVERY_S = 2.0
_CONFIG = """\
# The configuration of this demonstration. Real ones look the same, without base_url.
default_project: acme
projects:
  acme:
    name: Acme Voice
    tags: [production]
    daily_budget: 0.10
    routing:
      budget_ms: 1200
      rosters: {{stt: [deepgram, assemblyai], llm: [groq, openai], tts: [cartesia, elevenlabs]}}
    branding: {{product_name: AcmeVoice, accent_color: "#FF6633", logo: acme.svg}}
  globex:
    name: Globex
    description: Its provider fails now and then.
    tags: [staging]
    daily_budget: 5.00
    budget_action: block
    routing: {{budget_ms: 900, rosters: {{stt: [deepgram], llm: [openai], tts: [cartesia, deepgram]}}}}
  initech:
    name: Initech
    description: Its latency budget is tighter than any route.
    tags: [development]
    routing: {{budget_ms: 500, rosters: {{stt: [deepgram], llm: [openai], tts: [cartesia, deepgram]}}}}
providers:
  openai: {{base_url: "{openai}"}}
  deepgram: {{base_url: "{deepgram}"}}
  cartesia: {{base_url: "{cartesia}"}}
cost_tracking: {{db_path: "{folder}/demo.db"}}
sessions: {{idle_seconds: 15}}
workers: {{rollup_interval_seconds: 20}}
serve: {{port: {port}, drain_seconds: 1}}
"""
_LOGO = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">
<rect width="64" height="64" rx="14" fill="#ff6633"/>
<path d="M32 13 50 49H40l-8-17-8 17H14z" fill="#ffffff"/>
</svg>
"""


class Counted(Struct):
    """What the agents reported since the start."""

    sessions: int = 0
    turns: int = 0
    interruptions: int = 0
    errors: int = 0

    def note(self, progress: Progress) -> None:
        """Count one event of an agent."""
        match progress.kind:
            case ProgressKind.SESSION_STARTED:
                self.sessions += 1
            case ProgressKind.TURN:
                self.turns += 1
            case ProgressKind.BARGE_IN:
                self.interruptions += 1
            case ProgressKind.ERROR:
                self.errors += 1
            case ProgressKind.SESSION_ENDED:
                pass


def run_demo(port: int, agents: int, out: TextIO) -> int:
    """Run until a signal; returns the exit code."""
    pages = PageProcess.forked()
    with (
        tempfile.TemporaryDirectory(prefix="voicegw-demo-") as folder,
        asyncio.Runner(loop_factory=loop_factory()) as runner,
    ):
        runner.run(_demo(Path(folder), port, agents, out, pages))
    return 0


async def _demo(folder: Path, port: int, agents: int, out: TextIO, pages: PageProcess) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    script = Script(rules=troubles(FAILING_PROJECT, every=3)) if agents else Script()
    async with Simulator(script) as simulator:
        addresses = {name: simulator.base_url(name) for name in ("openai", "deepgram", "cartesia")}
        config = folder / "voicegw.yaml"
        config.write_text(_CONFIG.format(folder=folder, port=port, **addresses), encoding="utf-8")
        (folder / "acme.svg").write_text(_LOGO, encoding="utf-8")
        loaded = load_settings(str(config), {})
        async with running(loaded, pages=pages) as sidecar, aiohttp.ClientSession() as http:
            _introduce(sidecar, agents, out)
            counted = Counted()
            work = [tasks.spawn(_report(sidecar, counted, out), name="demo report")] if agents else []
            if agents:
                talk = run_agents(
                    _address(sidecar.addresses[0]),
                    projects=PROJECTS, count=agents, stop=stop, on_progress=counted.note,
                    conduct=Conduct(barge_in_share=0.35), before=_opener(http, sidecar.addresses[0]),
                )  # fmt: skip
                work.append(tasks.spawn(talk, name="demo agents"))
            await stop.wait()
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
    _say(out, "The demonstration is over; its database is gone.")


def _address(origin: str) -> Address:
    """One project's agents name no session, as most agents do: the sidecar finds out which calls belong together."""
    named = sidecar_address(origin)
    return lambda project, session: f"{origin}/p/{project}" if project == NAMELESS_PROJECT else named(project, session)


def _opener(http: aiohttp.ClientSession, origin: str) -> Before:
    """The other projects' agents open each session first, as agents do that ask for a route."""

    async def opened(project: str, session: str) -> None:
        if project != NAMELESS_PROJECT:
            body = {"project": project, "session_id": session}
            async with http.post(f"{origin}/v1/sessions", json=body) as response:
                await response.read()

    return opened


def _introduce(sidecar: Running, agents: int, out: TextIO) -> None:
    base = sidecar.addresses[0]
    if agents:
        _say(out, f"{agents} scripted agents now talk to simulated OpenAI, Deepgram and Cartesia through the sidecar.")
    else:
        _say(out, "Simulated OpenAI, Deepgram and Cartesia wait behind the sidecar; no agent of ours runs.")
    _say(out, "")
    _say(out, f"  Open     {base}/")
    _say(out, f"  Ask      curl {base}/v1/costs    curl '{base}/v1/sessions?limit=5'")
    _say(out, "  Point an agent of yours at it (any API key will do here):")
    _say(out, f"    OpenAI     base_url={base}/p/acme/openai/v1")
    _say(out, f"    Deepgram   base_url={base}/p/acme/deepgram/v1/listen        (LiveKit plugin)")
    _say(out, f"    Cartesia   base_url={base}/p/acme/cartesia                  (LiveKit plugin)")
    _say(out, "")
    _say(out, "Stop with Ctrl-C. Nothing of yours is read or changed.")
    _say(out, "")


async def _report(sidecar: Running, counted: Counted, out: TextIO) -> None:
    """Print a line of live figures every other second."""
    runtime = sidecar.runtime
    latest: deque[str] = deque(maxlen=1)
    while True:
        await asyncio.sleep(_REPORT_EVERY_S)
        first, last = period_days("today", runtime.clock.wall_ns(), runtime.zone)
        spent = await runtime.store.read(spending, first, last, None)
        listing = await runtime.store.read(exchanges, Filter(limit=300))
        line = report_line(spent, listing, counted)
        if line not in latest:
            latest.append(line)
            _say(out, line)


def report_line(spent: Spending, listing: Listing, counted: Counted) -> str:
    """Word the figures; a latency that was not observed yet is a dash."""
    names = {Modality.STT: "final after", Modality.LLM: "first token", Modality.TTS: "first audio"}
    latencies = []
    for modality, name in names.items():
        values = [
            row.first_ms
            for row in listing.rows
            if row.modality is modality and row.status is Status.OK and row.first_ms is not None
        ]
        shown = f"{statistics.median(values):.0f} ms" if values else "–"
        latencies.append(f"{modality} {name} {shown}")
    failed = sum(row.status in (Status.UPSTREAM_ERROR, Status.PARTIAL) for row in listing.rows)
    return (
        f"{spent.total.nanousd / 1e9:.4f} USD  {spent.total.requests} exchanges  {counted.sessions} calls  "
        f"{counted.turns} turns, {counted.interruptions} interrupted  {failed} provider errors  |  "
        + "  ".join(latencies)
    )


def _say(out: TextIO, line: str) -> None:
    with suppress(BrokenPipeError):
        out.write(f"{line}\n")
        out.flush()

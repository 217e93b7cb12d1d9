"""How sessions choose: ``routing`` and ``simulate_route``."""

from __future__ import annotations

from msgspec import Struct

from voicegw_sidecar.control_client import ControlClient, path_of, told
from voicegw_sidecar.mcp.standing import OneProject
from voicegw_sidecar.mcp.told import Routing, Simulated, fetch
from voicegw_sidecar.mcp.tool import Answer, Entry, ProjectId, Tool
from voicegw_sidecar.mcp.untrusted import safe, shown


class RouteAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose route, and which legs are chosen beforehand."""

    project: ProjectId | None = None
    stt: Entry | None = None
    llm: Entry | None = None
    tts: Entry | None = None


def routing(client: ControlClient, asked: OneProject) -> Answer:
    """Ask for rosters and observed latencies."""
    content = safe(fetch(client, path_of("api", "routing", query={"project": asked.project}), Routing))
    lines = []
    for one in told(content, "projects"):
        observations = told(one, "observations")
        lines.append(shown({name: value for name, value in one.items() if name != "observations"}))
        of_all = [{**seen, "model": seen.get("model") or "all"} for seen in observations]
        lines += [f"  observed: {shown(seen)}" for seen in of_all] or ["  nothing was observed yet"]
    return Answer("\n".join(lines), content)


def simulate_route(client: ControlClient, asked: RouteAsked) -> Answer:
    """Ask what a session that begins now would get."""
    query = {"project": asked.project, "stt": asked.stt, "llm": asked.llm, "tts": asked.tts}
    content = safe(fetch(client, path_of("api", "routing", "simulate", query=query), Simulated))
    fits = "does not fit" if told(content, "budget_overrun") else "fits"
    lines = [
        f"A session of project {shown(told(content, 'project'))} that begins now would get:",
        *(f"  {modality}: {shown(leg)}" for modality, leg in told(content, "route").items()),
        f"Together {shown(told(content, 'predicted_ms'))} ms are expected, which {fits} the latency budget of "
        f"{shown(told(content, 'budget_ms'))} ms.",
    ]
    return Answer("\n".join(lines), content)


TOOLS = (
    Tool(
        "routing", "Rosters and observed latencies",
        "Each project's rosters, latency budget, and the latencies observed of each provider in the last day.",
        OneProject, routing,
    ),
    Tool(
        "simulate_route", "What a new session would get",
        "The STT, LLM and TTS that a session beginning now would get, with the reason for each; opens nothing.",
        RouteAsked, simulate_route,
    ),
)  # fmt: skip

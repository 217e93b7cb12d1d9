"""Conversations: ``sessions``, ``session_waterfall`` and ``why_was_this_session_slow``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from voicegw_sidecar.control_client import ControlClient, path_of, told
from voicegw_sidecar.mcp.exchanges import exchange_lines
from voicegw_sidecar.mcp.slowness import analyse
from voicegw_sidecar.mcp.told import Day, Exchange, Observation, Session, read
from voicegw_sidecar.mcp.tool import Answer, Cursor, Limit, ProjectId, SessionId, Tool
from voicegw_sidecar.mcp.untrusted import marked, safe, shown
from voicegw_sidecar.mcp.waterfall import drawn

_MOST_EXCHANGES = 1000
_IN_A_LINE = (
    "started_at", "session_id", "project", "outcome", "turn_count", "interruptions", "exchanges", "failures",
    "predicted_ms", "budget_ms", "budget_ms_used", "budget_overrun", "cost_usd", "route",
)  # fmt: skip

Overrun = Annotated[bool, Meta(description="only those whose route did not fit the latency budget when picked, or did")]


class SessionsAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """The filters of ``GET /v1/sessions``."""

    project: ProjectId | None = None
    outcome: Literal["open", "ok", "errors"] | None = None
    overrun: (
        Annotated[bool, Meta(description="whether the route fitted the latency budget when it was picked")] | None
    ) = None
    before: Cursor | None = None
    limit: Limit = 20


class OneSession(Struct, frozen=True, forbid_unknown_fields=True):
    """A session; the project is needed only where two have one of the same id."""

    session_id: SessionId
    project: ProjectId | None = None


def sessions(client: ControlClient, asked: SessionsAsked) -> Answer:
    """Ask for sessions, newest first."""
    query = {
        "project": asked.project, "outcome": asked.outcome, "before": asked.before, "limit": str(asked.limit),
        "overrun": None if asked.overrun is None else str(asked.overrun).lower(),
    }  # fmt: skip
    found = client.ask("GET", path_of("v1", "sessions", query=query))
    content = {"sessions": [_safe_session(one) for one in told(found, "sessions")], "next": safe(found["next"], "next")}
    lines = [_line(one) for one in content["sessions"]]
    lines += [f"There are more: call again with before {shown(content['next'])}."] if content["next"] else []
    return Answer("\n".join(lines) or "No session is found.", content)


def session_waterfall(client: ControlClient, asked: OneSession) -> Answer:
    """Ask for one session, its turns and its exchanges."""
    found = _session(client, asked)
    session = read(found, Session)
    logs = safe(_exchanges(client, session))
    lines = drawn(session.turns, session.budget_ms)
    content = {"session": _safe_session(found), "waterfall": lines, "exchanges": logs["logs"], "next": logs["next"]}
    more = (
        [] if logs["next"] is None else [f"Only the newest {_MOST_EXCHANGES} exchanges are here; logs has the others."]
    )
    text = [_line(content["session"]), "", *lines, "", "Exchanges, newest first:", *exchange_lines(logs["logs"]), *more]
    return Answer("\n".join(text), content)


def why_was_this_session_slow(client: ControlClient, asked: OneSession) -> Answer:
    """Ask for all that tells of a session's time, and compare."""
    session = read(_session(client, asked), Session)
    exchanges = read(_exchanges(client, session)["logs"], list[Exchange])
    query = {"project": session.project}
    routing = told(client.ask("GET", path_of("api", "routing", query=query)), "projects", session.project)
    observations = read(told(routing, "observations"), list[Observation])
    analysis = analyse(session, exchanges, observations, _day(client, session.project))
    figures = msgspec.to_builtins(analysis)
    sentences = figures.pop("sentences")  # ours, with every foreign text in them marked
    content = {
        "session_id": marked(session.id), "project": safe(session.project, "project"), "sentences": sentences,
        **{name: safe(value, name) for name, value in figures.items() if name != "verdict"},
        "verdict": analysis.verdict.value,
    }  # fmt: skip
    verdict = {"slow": "It was slow.", "not_slow": "It was not slow.", "unknown": "It cannot be told."}
    return Answer("\n".join((verdict[analysis.verdict.value], *sentences)), content)


def _session(client: ControlClient, asked: OneSession) -> Any:
    return client.ask("GET", path_of("v1", "sessions", asked.session_id, query={"project": asked.project}))


def _exchanges(client: ControlClient, session: Session) -> Any:
    query = {"project": session.project, "session": session.id, "limit": str(_MOST_EXCHANGES)}
    found = client.ask("GET", path_of("v1", "logs", query=query))
    return {"logs": told(found, "logs"), "next": told(found, "next")}


def _day(client: ControlClient, project: str) -> Day | None:
    """Return how the project's day stands; None where the project is no longer there."""
    found = client.ask("GET", "/v1/projects")
    view = next((one for one in told(found, "projects") if one.get("id") == project), None)
    return None if view is None else read({**view, **told(found, "stats", project)}, Day)


def _safe_session(found: dict[str, Any]) -> dict[str, Any]:
    renamed = {"session_id": found["id"], **{name: value for name, value in found.items() if name != "id"}}
    content: dict[str, Any] = safe(renamed)
    return content


def _line(session: dict[str, Any]) -> str:
    return shown({name: session.get(name) for name in _IN_A_LINE})


TOOLS = (
    Tool(
        "sessions", "Conversations",
        "Conversations, newest first, without their turns: route, latency budget, turns, failures, cost.",
        SessionsAsked, sessions,
    ),
    Tool(
        "session_waterfall", "One conversation, turn by turn",
        "One conversation: its route, its latency budget, each turn in its parts (stt, llm, tts, the agent's own "
        "time), drawn as a waterfall, and its exchanges.",
        OneSession, session_waterfall,
    ),
    Tool(
        "why_was_this_session_slow", "Why a conversation was slow",
        "Compares a conversation's turns with its latency budget, their parts with what was predicted and with what "
        "the project observes, and looks for failures, repeats and local stand-ins. Every sentence is from figures; "
        "what is not known is said to be unknown.",
        OneSession, why_was_this_session_slow,
    ),
)  # fmt: skip

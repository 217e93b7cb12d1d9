"""Conversations: ``sessions``, ``session_waterfall`` and ``why_was_this_session_slow``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from voicegw_sidecar.control_client import ControlClient, path_of, told
from voicegw_sidecar.errors import UnknownProject
from voicegw_sidecar.mcp.exchanges import exchange_lines
from voicegw_sidecar.mcp.slowness import analyse
from voicegw_sidecar.mcp.told import Day, Exchange, Logs, Observation, Projects, Routing, Session, Sessions, fetch, read
from voicegw_sidecar.mcp.tool import Answer, Cursor, Limit, ProjectId, SessionId, Tool
from voicegw_sidecar.mcp.untrusted import marked, safe, shown
from voicegw_sidecar.mcp.waterfall import drawn

SHOWN_MOST = 200
"""So many exchanges, the newest, and turns, the last, are in one answer."""
READ_MOST, _PAGE = 5000, 1000
"""So many exchanges, the newest, are looked at for failures and stand-ins."""
_IN_A_LINE = (
    "started_at", "session_id", "project", "outcome", "turn_count", "interruptions", "exchanges", "failures",
    "predicted_ms", "budget_ms", "budget_ms_used", "budget_overrun", "cost_usd", "route",
)  # fmt: skip

Overrun = Annotated[bool, Meta(description="only those whose route did not fit the latency budget when picked, or did")]


class SessionsAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """The filters of ``GET /v1/sessions``."""

    project: ProjectId | None = None
    outcome: Literal["open", "ok", "errors"] | None = None
    overrun: Overrun | None = None
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
    found = fetch(client, path_of("v1", "sessions", query=query), Sessions)
    content = {"sessions": [_safe_session(one) for one in found["sessions"]], "next": safe(found["next"], "next")}
    lines = [_line(one) for one in content["sessions"]]
    lines += [f"There are more: call again with before {shown(content['next'])}."] if content["next"] else []
    return Answer("\n".join(lines) or "No session is found.", content)


class _Seen(Struct, frozen=True):
    """The newest exchanges of a session, as they came; ``next`` is where `logs` goes on, None where they are all."""

    exchanges: list[dict[str, Any]]
    next: str | None


def session_waterfall(client: ControlClient, asked: OneSession) -> Answer:
    """Ask for one session, its turns and its exchanges."""
    found = _session(client, asked)
    session, seen = read(found, Session), _exchanges(client, read(found, Session), SHOWN_MOST)
    lines, turns = drawn(session.turns[-SHOWN_MOST:], session.budget_ms), len(session.turns)
    exchanges, next_ = safe(seen.exchanges), safe(seen.next, "next")
    content = {
        "session": _safe_session({**found, "turns": found["turns"][-SHOWN_MOST:]}),
        "waterfall": lines, "exchanges": exchanges, "next": next_,
    }  # fmt: skip
    earlier = [f"Only the last {SHOWN_MOST} of {turns} turns are here."] if turns > SHOWN_MOST else []
    more = (
        [] if next_ is None else
        [f"Only the newest {len(exchanges)} exchanges are here; the session counts {shown(safe(found['exchanges']))}, "
         f"but for refused and idle ones. logs has the others: session_id, and before {shown(next_)}."]
    )  # fmt: skip
    text = [
        _line(content["session"]), "", *lines, *earlier, "", "Exchanges, newest first:", *exchange_lines(exchanges),
        *more,
    ]  # fmt: skip
    return Answer("\n".join(text), content)


def why_was_this_session_slow(client: ControlClient, asked: OneSession) -> Answer:
    """Ask for all that tells of a session's time, and compare."""
    session = read(_session(client, asked), Session)
    seen = _exchanges(client, session, READ_MOST)
    analysis = analyse(
        session, read(seen.exchanges, list[Exchange]), _observations(client, session.project),
        _day(client, session.project), are_all=seen.next is None,
    )  # fmt: skip
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
    """Return a session, of a project that was deleted too: of that one the API does not take the name any more."""
    try:
        return fetch(client, path_of("v1", "sessions", asked.session_id, query={"project": asked.project}), Session)
    except UnknownProject:
        found = fetch(client, path_of("v1", "sessions", asked.session_id), Session)
        if found["project"] != asked.project:
            raise
        return found


def _exchanges(client: ControlClient, session: Session, most: int) -> _Seen:
    try:
        return _paged(client, session, most, {"project": session.project})
    except UnknownProject:
        return _paged(client, session, most, {})


def _paged(client: ControlClient, session: Session, most: int, query: dict[str, str]) -> _Seen:
    """Read pages, of ``most`` exchanges at most, and leave out what is of another project's session of this id."""
    found: list[dict[str, Any]] = []
    before: str | None = None
    for start in range(0, most, _PAGE):
        words = {**query, "session": session.id, "limit": str(min(_PAGE, most - start)), "before": before}
        page = fetch(client, path_of("v1", "logs", query=words), Logs)
        found += [one for one in page["logs"] if one.get("project") == session.project]
        before = page["next"]
        if before is None:
            break
    return _Seen(found, before)


def _observations(client: ControlClient, project: str) -> list[Observation] | None:
    """Return what a project observes; None where the project is no longer there."""
    try:
        found = fetch(client, path_of("api", "routing", query={"project": project}), Routing)
    except UnknownProject:
        return None
    return read(told(found, "projects", project, "observations"), list[Observation])


def _day(client: ControlClient, project: str) -> Day | None:
    """Return how the project's day stands; None where the project is no longer there."""
    found = fetch(client, "/v1/projects", Projects)
    view = next((one for one in found["projects"] if one["id"] == project), None)
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
        "time), drawn as a waterfall, and its exchanges: the newest 200 of these, and the last 200 turns.",
        OneSession, session_waterfall,
    ),
    Tool(
        "why_was_this_session_slow", "Why a conversation was slow",
        "Compares a conversation's turns with its latency budget, their parts with what was predicted and with what "
        "the project observes, and looks for failures, repeats, other providers than were picked, and local stand-ins. "
        "Every sentence is from figures; what is not known is said to be unknown.",
        OneSession, why_was_this_session_slow,
    ),
)  # fmt: skip

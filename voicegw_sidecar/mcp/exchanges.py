"""The exchanges themselves: ``logs``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from voicegw_sidecar.control_client import ControlClient, path_of, told
from voicegw_sidecar.mcp.told import Logs, fetch
from voicegw_sidecar.mcp.tool import Answer, Cursor, Limit, ProjectId, SessionId, Tool
from voicegw_sidecar.mcp.untrusted import safe, shown

Moment = Annotated[str, Meta(max_length=40, description="ISO 8601, such as 2026-11-21T10:00:00Z; UTC without a zone")]
_IN_A_LINE = (
    "started_at", "project", "session_id", "modality", "provider", "model", "status", "http_status", "first_ms",
    "total_ms", "cost_usd", "cost_source", "error",
)  # fmt: skip


class LogsAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """The filters of ``GET /v1/logs``."""

    project: ProjectId | None = None
    modality: Literal["stt", "llm", "tts", "s2s"] | None = None
    session_id: SessionId | None = None
    status: (
        Literal[
            "open", "ok", "cancelled", "refused", "upstream_error", "partial", "interrupted", "idle", "degraded"
        ] | None
    ) = None  # fmt: skip
    from_: Moment | None = field(default=None, name="from")
    to: Moment | None = None
    before: Cursor | None = None
    limit: Limit = 20


def logs(client: ControlClient, asked: LogsAsked) -> Answer:
    """Ask for exchanges, newest first."""
    query = {
        "project": asked.project, "modality": asked.modality, "session": asked.session_id, "status": asked.status,
        "from": asked.from_, "to": asked.to, "before": asked.before, "limit": str(asked.limit),
    }  # fmt: skip
    content = safe(fetch(client, path_of("v1", "logs", query=query), Logs))
    lines = exchange_lines(told(content, "logs"))
    more = told(content, "next")
    lines += [f"There are more: call again with before {shown(more)}."] if more is not None else []
    return Answer("\n".join(lines) or "No exchange is found.", content)


def exchange_lines(entries: list[dict[str, Any]]) -> list[str]:
    """Return a line for each exchange of an answer that is safe already."""
    return [shown({name: entry.get(name) for name in _IN_A_LINE}) for entry in entries]


TOOLS = (
    Tool(
        "logs", "Exchanges",
        "Exchanges (one HTTP request, utterance or spoken text each), newest first: provider, model, status, latency "
        "to the first useful output, cost, error code.",
        LogsAsked, logs,
    ),
)  # fmt: skip

"""A conversation opened with the router's pick: ``await open_session()``, or ``async with open_session() as it``."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from voicegw_sidecar.inference.errors import SessionRefusedError, SidecarNotRunningError
from voicegw_sidecar.inference.scope import current_project, current_session, set_project, set_session, sidecar_url

if TYPE_CHECKING:
    from types import TracebackType

logger = logging.getLogger(__name__)

_LIMIT_S = 10.0
_ANSWER_BYTES = 1024 * 1024


class Leg(NamedTuple):
    """One third of a route; as text it is ``provider/model``, which ``STT``, ``LLM`` and ``TTS`` take.

    ``source`` says where ``predicted_ms`` comes from, ``baseline`` or ``observed`` in ``samples`` calls. ``base_url``
    is what the provider's documented paths are appended to, for this session.
    """

    provider: str
    model: str | None
    predicted_ms: float | None
    source: str | None
    samples: int | None
    base_url: str
    ws_url: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}" if self.model else self.provider


class Route(NamedTuple):
    """The triple of a session."""

    stt: Leg
    llm: Leg
    tts: Leg


class Session(NamedTuple):
    """A session that the sidecar opened; ``budget_overrun`` says that no triple fits ``budget_ms``."""

    id: str
    project: str
    route: Route
    predicted_ms: float | None
    budget_ms: int
    budget_overrun: bool | None

    async def close(self) -> None:
        """Close it, which fixes its figures; a second time does nothing more.

        A sidecar that cannot be reached is no reason for the agent to fail: it is noted in the log.
        """
        path = f"/v1/sessions/{quote(self.id, safe='')}/close?project={quote(self.project, safe='')}"
        try:
            await _asked("POST", path, None)
        except (SidecarNotRunningError, SessionRefusedError) as error:
            logger.warning("session not closed: %s", error, extra={"session": self.id, "project": self.project})


class open_session:
    """Open a session, and let what this context makes from then on belong to it.

    ``await inference.open_session()`` returns the `Session`, which is closed by its ``close``, else when it is idle.
    ``async with inference.open_session() as session`` closes it at the end, and sets project and session back.
    ``stt``, ``llm`` and ``tts`` narrow their rosters to one entry. Raises `SessionRefusedError`,
    `SidecarNotRunningError`, and `ValueError` for ids that cannot be.
    """

    def __init__(
        self, *, project: str | None = None, session_id: str | None = None, stt: str | None = None,
        llm: str | None = None, tts: str | None = None,
    ) -> None:  # fmt: skip
        self._asked = {"project": project, "session_id": session_id, "stt": stt, "llm": llm, "tts": tts}
        self._before: tuple[str | None, str | None] | None = None
        self._session: Session | None = None

    def __await__(self) -> Generator[Any, Any, Session]:
        return self._open().__await__()

    async def __aenter__(self) -> Session:
        before = current_project(), current_session()
        self._session = await self._open()
        self._before = before
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        assert self._before is not None
        set_project(self._before[0])
        set_session(self._before[1])
        await self._session.close()

    async def _open(self) -> Session:
        asked = {name: value for name, value in self._asked.items() if value is not None}
        if "project" not in asked and (project := current_project()) is not None:
            asked["project"] = project
        session = _read(await _asked("POST", "/v1/sessions", asked))
        set_project(session.project)
        set_session(session.id)
        return session


async def _asked(method: str, path: str, body: object) -> Any:
    """Ask the sidecar on a thread: a client library's import would hold up the calls of an agent that has none."""
    import asyncio

    return await asyncio.to_thread(_ask, method, path, body)


def _ask(method: str, path: str, body: object) -> Any:
    import http.client

    import msgspec

    from voicegw_sidecar.inference.autostart import ensure_running

    url = ensure_running(sidecar_url())
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_LIMIT_S)
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get("VOICEGW_AGENT_KEY"):
        headers["Authorization"] = f"Bearer {key}"
    try:
        connection.request(method, parts.path + path, msgspec.json.encode({} if body is None else body), headers)
        answer = connection.getresponse()
        found = msgspec.json.decode(answer.read(_ANSWER_BYTES))
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise SidecarNotRunningError(
            f"no sidecar answers at {url}: {reason}; start it with 'voicegw-sidecar serve'"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise SidecarNotRunningError(f"what answers at {url} is no sidecar: it sent no JSON") from None
    finally:
        connection.close()
    if answer.status < 400:
        return found
    code = answer.headers.get("X-VoiceGW-Error") or "unknown"
    message = found.get("error") if isinstance(found, dict) else None
    words = message.get("message") if isinstance(message, dict) else None
    raise SessionRefusedError(str(words or f"the sidecar answered with status {answer.status}"), code, answer.status)


def _read(found: Any) -> Session:
    try:
        legs = {kind: Leg(**{name: leg[name] for name in Leg._fields}) for kind, leg in found["route"].items()}
        return Session(
            found["session_id"], found["project"], Route(**legs), found["predicted_ms"], found["budget_ms"],
            found["budget_overrun"],
        )  # fmt: skip
    except (KeyError, TypeError, AttributeError):
        raise SidecarNotRunningError(
            "what answers there is no sidecar of this version: its session has no route"
        ) from None

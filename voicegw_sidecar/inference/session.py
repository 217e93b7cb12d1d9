"""A conversation opened with the router's pick: ``await open_session()``, or ``async with open_session() as it``."""

from __future__ import annotations

import logging
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from voicegw_sidecar.inference.errors import InferenceError, SessionRefusedError, SidecarNotRunningError
from voicegw_sidecar.inference.livekit import agent_key
from voicegw_sidecar.inference.scope import (
    Scope,
    current_project,
    current_scope,
    put_back,
    set_project,
    set_session,
    sidecar_url,
)

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

        What goes wrong with that is no reason for an agent to fail: it is noted in the log.
        """
        import asyncio

        await asyncio.to_thread(self.close_now)

    def close_now(self) -> None:
        """Close it from a thread that may wait."""
        path = f"/v1/sessions/{quote(self.id, safe='')}/close?project={quote(self.project, safe='')}"
        try:
            _ask("POST", path, None)
        except (InferenceError, ValueError) as error:
            logger.warning("session not closed: %s", error, extra={"session": self.id, "project": self.project})


class open_session:
    """Open a session, and let what this context makes from then on belong to it.

    ``await inference.open_session()`` returns the `Session`, which is closed by its ``close``, else when it is idle.
    ``async with inference.open_session() as session`` closes it at the end, and puts project and session back.
    ``stt``, ``llm`` and ``tts`` narrow their rosters to one entry. Whoever stops waiting leaves no session open.
    Raises `SessionRefusedError`, for an id that cannot be as for a route that there is not; `SidecarNotRunningError`;
    and `RuntimeError` where one is used a second time.
    """

    def __init__(
        self, *, project: str | None = None, session_id: str | None = None, stt: str | None = None,
        llm: str | None = None, tts: str | None = None,
    ) -> None:  # fmt: skip
        self._asked = {"project": project, "session_id": session_id, "stt": stt, "llm": llm, "tts": tts}
        self._before: Scope | None = None
        self._task: object = None
        self._session: Session | None = None

    def __await__(self) -> Generator[Any, Any, Session]:
        return self._open().__await__()

    async def __aenter__(self) -> Session:
        self._session = await self._open()
        return self._session

    async def __aexit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        assert self._before is not None
        if _current_task() is self._task:  # another task's context is its own
            put_back(self._before)
        await self._session.close()

    async def _open(self) -> Session:
        if self._before is not None:
            raise RuntimeError("open_session() opens one session; call it again for another")
        self._before, self._task = current_scope(), _current_task()
        asked = {name: value for name, value in self._asked.items() if value is not None}
        if "project" not in asked and (project := current_project()) is not None:
            asked["project"] = project
        session = await _Opening(asked).done()
        set_project(session.project)
        set_session(session.id)
        return session


def _current_task() -> object:
    import asyncio

    return asyncio.current_task()


class _Opening:
    """The opening of a session on a thread, which closes it again where nobody waits for it any more."""

    def __init__(self, asked: dict[str, str]) -> None:
        from threading import Lock

        self._body = asked
        self._lock = Lock()
        self._is_left = False
        self._opened: Session | None = None

    async def done(self) -> Session:
        import asyncio
        from threading import Thread

        try:
            return await asyncio.to_thread(self._open)
        except asyncio.CancelledError:
            with self._lock:
                self._is_left = True
                opened = self._opened
            if opened is not None:  # as the waiting was given up
                Thread(target=opened.close_now, daemon=True).start()
            raise

    def _open(self) -> Session:
        session = _read(_ask("POST", "/v1/sessions", self._body))
        with self._lock:
            self._opened = session
            is_left = self._is_left
        if is_left:
            session.close_now()
        return session


def _ask(method: str, path: str, body: object) -> Any:
    """Ask the sidecar; one that was started here and has gone since is started again, once."""
    from voicegw_sidecar.inference.autostart import ensure_running, forget

    url = ensure_running(sidecar_url())
    try:
        return _answer(url, method, path, body)
    except ConnectionRefusedError:
        if not forget(url):
            raise _nobody(url, "Connection refused") from None
    try:
        return _answer(ensure_running(url), method, path, body)
    except ConnectionRefusedError:
        raise _nobody(url, "Connection refused") from None


def _nobody(url: str, reason: str) -> SidecarNotRunningError:
    return SidecarNotRunningError(f"no sidecar answers at {url}: {reason}; start it with 'voicegw-sidecar serve'")


def _answer(url: str, method: str, path: str, body: object) -> Any:
    """Send one request and return its JSON; raises `ConnectionRefusedError` where nobody listens."""
    import http.client

    import msgspec

    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_LIMIT_S)
    headers = {"Content-Type": "application/json"}
    if key := agent_key():
        headers["Authorization"] = f"Bearer {key}"
    try:
        connection.request(method, parts.path + path, msgspec.json.encode({} if body is None else body), headers)
        answer = connection.getresponse()
        found = msgspec.json.decode(answer.read(_ANSWER_BYTES))
    except ConnectionRefusedError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise _nobody(url, getattr(error, "strerror", None) or type(error).__name__) from None
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

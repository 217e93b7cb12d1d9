"""How a provider's HTTP answer becomes the caller's: passed on as it is, or written anew. Sans IO.

A refusal of the provider keeps its status; where the provider is not OpenAI's kind it gets OpenAI's shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec
from msgspec import Struct

from voicegw_sidecar.drivers.base import ProviderRequest
from voicegw_sidecar.events import AudioOut, Event, Failed, Final, TextOut
from voicegw_sidecar.wire.body import error_code
from voicegw_sidecar.wire.frames import ResponseHead
from voicegw_sidecar.wire.sse import SseFilter

Headers = tuple[tuple[str, str], ...]
OUTPUT = (TextOut, AudioOut, Final)
"""Events with which a listener could first hear something, now or soon."""
_TEXT_LIMIT_CHARS = 500
_TEXT_KEYS = ("message", "err_msg", "msg", "detail", "error", "title")
_KEPT = frozenset({"retry-after", "retry-after-ms", "x-request-id", "request-id", "x-should-retry"})


class Answer(Struct, frozen=True):
    """A whole answer for the caller."""

    status: int
    headers: Headers
    body: bytes
    text: str = ""
    """What went wrong in words, where it did."""


class Translation(Protocol):
    """Turns one answer of status 2xx into the caller's."""

    @property
    def has_output(self) -> bool:
        """True once there is anything to hear: from here on no other provider takes over."""
        ...

    @property
    def is_heavy(self) -> bool:
        """True where its work takes milliseconds: it is done on a thread."""
        ...

    @property
    def failure(self) -> Failed | None:
        """What the provider said went wrong inside an answer that had begun well."""
        ...

    def head(self, head: ResponseHead, headers: Headers) -> Headers:
        """Take the head of the answer; return the headers of the caller's."""
        ...

    def take(self, data: bytes, events: Iterable[Event]) -> bytes:
        """Take a piece of the body and what it was decoded to; return what the caller gets of it now."""
        ...

    def end(self, events: Iterable[Event]) -> bytes:
        """Take the end of the body; return what the caller gets last."""
        ...

    def broken(self, message: str, code: str) -> bytes | None:
        """Return how an answer that has begun is ended when it cannot go on; None: only by breaking it off."""
        ...


class Attempt(Struct, frozen=True):
    """A call as one provider is asked it: the request, how its answer is read, and how its refusals are worded."""

    request: ProviderRequest
    translation: Translation
    is_openai_shaped: bool = True


class PassThrough:
    """Passes an answer on as it is, but for server-sent events that the caller did not ask for."""

    failure: Failed | None = None
    is_heavy = False

    def __init__(self, drops: Callable[[bytes | None], bool] | None = None) -> None:
        self._drops = drops
        self._filter: SseFilter | None = None
        self.has_output = False

    def head(self, head: ResponseHead, headers: Headers) -> Headers:
        """All of the provider's headers but the length, which is not known before the row is stored."""
        if self._drops is not None and head.content_type.lower().startswith("text/event-stream"):
            self._filter = SseFilter(self._drops)
        return tuple(pair for pair in headers if pair[0].lower() != "content-length")

    def take(self, data: bytes, events: Iterable[Event]) -> bytes:
        """See `Translation.take`."""
        self.has_output = self.has_output or any(isinstance(event, OUTPUT) for event in events)
        return data if self._filter is None else self._filter.feed(data)

    def end(self, events: Iterable[Event]) -> bytes:
        """See `Translation.end`."""
        return b"" if self._filter is None else self._filter.rest()

    def broken(self, message: str, code: str) -> bytes | None:
        """It breaks off as the provider's did."""
        return None


def refused(provider: str, head: ResponseHead, headers: Headers, body: bytes) -> Answer:
    """Word a provider's refusal as OpenAI would, its status kept."""
    text = _text(body) or f"answered with status {head.status}"
    code = error_code(body) or f"http_{head.status}"
    kept = tuple(pair for pair in headers if pair[0].lower() in _KEPT)
    words = f"{provider}: {text}"
    content = openai_error(words, code, head.status)
    return Answer(head.status, (*kept, ("Content-Type", "application/json")), content, words)


def openai_error(message: str, code: str, status: int) -> bytes:
    """An error in OpenAI's shape."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


def _text(body: bytes) -> str:
    """Find the sentence in an error body; a body that is no JSON is one."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = body.decode("utf-8", "replace")
    for _ in range(3):  # an error within a detail within the body
        if isinstance(found, list):  # as servers made with FastAPI, ElevenLabs among them, tell what a request lacks
            found = found[0] if found else None
        elif isinstance(found, dict):
            found = next((found[key] for key in _TEXT_KEYS if found.get(key)), None)
    return found.strip()[:_TEXT_LIMIT_CHARS] if isinstance(found, str) else ""

"""How a provider's HTTP answer becomes the caller's: passed on as it is, or written anew. Sans IO.

A refusal of the provider keeps its status; where the provider is not OpenAI's kind it gets OpenAI's shape. Whoever
only sends the caller elsewhere has not answered: the caller asked for no such place, and could not go there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec
from msgspec import Struct

from voicegw_sidecar.drivers.base import ProviderRequest
from voicegw_sidecar.events import AudioOut, Event, Failed, Final, TextOut
from voicegw_sidecar.wire.body import ERROR_BODY_LIMIT_BYTES, decoded, error_code
from voicegw_sidecar.wire.frames import ResponseHead
from voicegw_sidecar.wire.sse import SseFilter

Headers = tuple[tuple[str, str], ...]
OUTPUT = (TextOut, AudioOut, Final)
"""Events with which a listener could first hear something, now or soon."""
_LEAST_REFUSAL = 400
_BAD_GATEWAY = 502
_ELSEWHERE = ", which leads elsewhere and is not followed; check providers.{}.base_url"
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
    """Turns one answer of status 2xx into the caller's; each step may raise `UpstreamSilent` for what is no answer."""

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
    """Word a provider's refusal as OpenAI would, its status kept; below 400 it is a 502.

    Its sentence is looked for in the body, unpacked where it came packed. A page of HTML has none.
    """
    content = decoded(body, head.content_encoding.strip().lower(), ERROR_BODY_LIMIT_BYTES) or b""
    is_elsewhere = 300 <= head.status < _LEAST_REFUSAL
    text = "" if is_elsewhere or _is_page(head, content) else _text(content)
    if not text:
        text = f"answered with status {head.status}" + (_ELSEWHERE.format(provider) if is_elsewhere else "")
    code = error_code(content) or f"http_{head.status}"
    kept = tuple(pair for pair in headers if pair[0].lower() in _KEPT)
    words, status = f"{provider}: {text}", _BAD_GATEWAY if head.status < _LEAST_REFUSAL else head.status
    return Answer(status, (*kept, ("Content-Type", "application/json")), openai_error(words, code, status), words)


def _is_page(head: ResponseHead, content: bytes) -> bool:
    return head.content_type.lower().startswith("text/html") or content.lstrip()[:1] == b"<"


def openai_error(message: str, code: str, status: int) -> bytes:
    """An error in OpenAI's shape."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


def _text(body: bytes) -> str:
    """Find the sentence in an error body, in one line; a body that is no JSON is one."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = body.decode("utf-8", "replace")
    for _ in range(3):  # an error within a detail within the body
        if isinstance(found, list):  # as servers made with FastAPI, ElevenLabs among them, tell what a request lacks
            found = found[0] if found else None
        elif isinstance(found, dict):
            found = next((found[key] for key in _TEXT_KEYS if found.get(key)), None)
    return " ".join(found[: 2 * _TEXT_LIMIT_CHARS].split())[:_TEXT_LIMIT_CHARS] if isinstance(found, str) else ""

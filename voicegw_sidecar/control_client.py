"""A client of a running sidecar's control plane: its answers, and its refusals in its own words.

For the commands that ask a sidecar, and for the MCP server. Goes to one address with one key: follows no redirect, asks
no proxy, reads no more than a bounded answer, and repeats neither the key nor what may be a credential in the address.
Knows nothing of the server's code.
"""

from __future__ import annotations

import errno
import http.client
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from voicegw_sidecar.errors import BadRequest, SidecarError, UnknownProject

DEFAULT_URL = "http://127.0.0.1:8080"
TIMEOUT_S = 30.0
_OWN_WORDS_BYTES, _ANSWER_BYTES, _PIECE_BYTES = 64 * 1024, 64 * 1024 * 1024, 256 * 1024
FOREIGN = "what answers there is no sidecar of this version"
_NOTHING_LISTENS = {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH}


class NoAnswer(SidecarError):
    """No sidecar answers, or it says no."""


class SaidNo(NoAnswer):
    """The sidecar refused; ``reason`` is the code of its refusal, such as ``forbidden``."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class _Heard(Struct, frozen=True):
    """One answer, as it came."""

    status: int
    reason: str | None
    """What ``X-VoiceGW-Error`` says."""
    content: bytes


class ControlClient(Struct, frozen=True):
    """Where a sidecar is, and the key that is presented to it; made by `control_client`."""

    url: str
    authorization: str | None
    timeout_s: float = TIMEOUT_S
    """For the connection, for each silence of the sidecar, and for an answer's content as a whole."""

    def __repr__(self) -> str:
        """Leave the key out."""
        return f"ControlClient({self.url})"

    def ask(
        self, method: str, path: str, body: object = None, *,
        content: bytes | None = None, content_type: str = "application/json", also: int | None = None,
    ) -> Any:  # fmt: skip
        """Send one request and return its JSON; ``also`` is a further status that comes with an answer.

        Raises `BadRequest` and `UnknownProject` as the sidecar does, and else `NoAnswer`: with its own words, or why
        there are none, and whether the request may have been carried out. An upload that is refused is a no, whatever
        is wrong with it.
        """
        data = content if body is None else msgspec.json.encode(body)
        headers = {"Connection": "close"} if data is None else {"Connection": "close", "Content-Type": content_type}
        if self.authorization is not None:
            headers["Authorization"] = self.authorization
        unknown = "" if method == "GET" else "; whether it was done is not known"
        heard = self._exchange(method, path, data, headers, unknown)
        if not (200 <= heard.status < 300 or (heard.status == also and heard.reason is None)):
            raise self._refusal(heard, unknown, is_upload=content is not None)
        try:
            return msgspec.json.decode(heard.content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise NoAnswer(f"what answers at {self.url} is no sidecar: it sent no JSON{unknown}") from None

    def _exchange(self, method: str, path: str, data: bytes | None, headers: dict[str, str], unknown: str) -> _Heard:
        """Connect, and then ask: only what was connected to can have done something."""
        at = urlsplit(self.url)
        kind = http.client.HTTPSConnection if at.scheme == "https" else http.client.HTTPConnection
        connection = kind(at.hostname or "", at.port, timeout=self.timeout_s)
        try:
            self._connect(connection)
            with suppress(ConnectionError):  # it may refuse before it has read everything: then it has answered
                connection.request(method, f"{at.path}{path}", data, headers)
            return _whole(connection.getresponse(), self.timeout_s)
        except TimeoutError:
            raise NoAnswer(f"the sidecar at {self.url} did not answer within {self.timeout_s:g} s{unknown}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            what = type(error).__name__
            raise NoAnswer(f"what answers at {self.url} broke off, or is no sidecar: {what}{unknown}") from None
        finally:
            connection.close()

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except TimeoutError:
            raise NoAnswer(f"{self.url} could not be reached within {self.timeout_s:g} s; nothing was sent") from None
        except (OSError, ValueError) as error:
            is_nobody = isinstance(error, OSError) and error.errno in _NOTHING_LISTENS
            hint = "start it with 'voicegw-sidecar serve'" if is_nobody else "look at the address"
            raise NoAnswer(f"no sidecar answers at {self.url}: {error}; {hint}") from None

    def _refusal(self, heard: _Heard, unknown: str, *, is_upload: bool) -> SidecarError:
        """Return what a refusal is: words that were wrong, or a no."""
        words = _own_words(heard.content)
        if words is None:
            what = f"it answered with status {heard.status}, which is not how a sidecar refuses"
            return NoAnswer(f"{what}{unknown}")
        if heard.status == 401 and self.authorization is None:
            words = f"{words}; set VOICEGW_API_KEY"
        match heard.reason:
            case "unknown_project":
                return UnknownProject(words)
            case "bad_request" if not is_upload:
                return BadRequest(words)
            case reason:
                return SaidNo(words, reason or "")


def control_client(url: str, key: str | None, *, url_from: str = "--url") -> ControlClient:
    """Return a client; raises `BadRequest` where the address or the key cannot be one. No key is None or empty."""
    return ControlClient(_address(url, url_from), f"Bearer {_key(key)}" if key else None)


def path_of(*parts: str, query: Mapping[str, str | None] | None = None) -> str:
    """Return a path; each part is quoted whole, and what is None is left out of the query."""
    asked = {name: value for name, value in (query or {}).items() if value is not None}
    path = "".join(f"/{quote(part, safe='')}" for part in parts)
    return f"{path}?{urlencode(asked)}" if asked else path


def told(answer: Any, *names: str) -> Any:
    """Return what an answer holds under these names, one within the other; raises `NoAnswer` where it does not."""
    found = answer
    for name in names:
        if not isinstance(found, dict) or name not in found:
            raise NoAnswer(f"{FOREIGN}: its answer has no {'.'.join(names)}")
        found = found[name]
    return found


def _address(text: str, url_from: str) -> str:
    """Return the sidecar's address; never repeats what may be a credential in it."""
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise BadRequest(f"{url_from}: expected an address such as {DEFAULT_URL}") from None
    if not is_usable or not text.isascii() or "@" in parts.netloc or parts.query or parts.fragment or " " in text:
        raise BadRequest(f"{url_from}: expected an address such as {DEFAULT_URL}, in ASCII and without a user")
    return text.rstrip("/")


def _key(text: str) -> str:
    """Return the key as it goes into a header; a line break at its end is what mounted secrets often have."""
    key = text.strip()
    if not key or not all("!" <= char <= "~" for char in key):
        raise BadRequest("VOICEGW_API_KEY: expected a key without spaces, line breaks or non-ASCII characters")
    return key


def _whole(response: http.client.HTTPResponse, limit_s: float) -> _Heard:
    """Read an answer to its end, or as far as it may go; one that trickles in is out of time as a whole."""
    until_s = time.monotonic() + limit_s
    most_bytes = _ANSWER_BYTES if response.status < 300 else _OWN_WORDS_BYTES
    content = bytearray()
    while len(content) < most_bytes and (piece := response.read1(min(_PIECE_BYTES, most_bytes - len(content)))):
        content += piece
        if time.monotonic() > until_s:
            raise TimeoutError
    if response.length and len(content) < most_bytes:
        raise http.client.IncompleteRead(b"")
    return _Heard(response.status, response.headers.get("X-VoiceGW-Error"), bytes(content))


def _own_words(content: bytes) -> str | None:
    """Return what the sidecar says with its refusal; None where it is not a sidecar's."""
    try:
        message = msgspec.json.decode(content)["error"]["message"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        return None
    return message if isinstance(message, str) else None

"""A client of a running sidecar's control plane: its answers, and its refusals in its own words.

For the commands that ask a sidecar, and for the MCP server. Goes to one address with one key: follows no redirect, asks
no proxy, reads no more than a bounded answer, and repeats neither the key nor what may be a credential in the address.
Knows nothing of the server's code.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from msgspec import Struct

from voicegw_sidecar.errors import BadRequest, SidecarError, UnknownProject

DEFAULT_URL = "http://127.0.0.1:8080"
TIMEOUT_S = 30.0
_OWN_WORDS_BYTES, _ANSWER_BYTES = 64 * 1024, 64 * 1024 * 1024


class NoAnswer(SidecarError):
    """No sidecar answers, or it says no."""


class SaidNo(NoAnswer):
    """The sidecar refused; ``reason`` is the code of its refusal, such as ``forbidden``."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ControlClient(Struct, frozen=True):
    """Where a sidecar is, and the key that is presented to it; made by `control_client`."""

    url: str
    authorization: str | None

    def __repr__(self) -> str:
        """Leave the key out."""
        return f"ControlClient({self.url})"

    def ask(
        self, method: str, path: str, body: object = None, *,
        content: bytes | None = None, content_type: str = "application/json", also: int | None = None,
    ) -> Any:  # fmt: skip
        """Send one request and return its JSON; ``also`` is a further status that comes with an answer.

        Raises `BadRequest` and `UnknownProject` as the sidecar does, and else `NoAnswer`: with its own words, or why
        there are none. An upload that is refused is a no, whatever is wrong with it.
        """
        data = content if body is None else msgspec.json.encode(body)
        headers = {} if data is None else {"Content-Type": content_type}
        if self.authorization is not None:
            headers["Authorization"] = self.authorization
        address = self.url + path
        request = urllib.request.Request(address, data, headers, method=method)  # noqa: S310 - the scheme was looked at
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
        try:
            with opener.open(request, timeout=TIMEOUT_S) as response:
                return _decoded(response.read(_ANSWER_BYTES), self.url)
        except urllib.error.HTTPError as error:
            if error.code == also and "X-VoiceGW-Error" not in error.headers:
                return _decoded(error.read(_ANSWER_BYTES), self.url)
            raise self._refusal(error, is_upload=content is not None) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            raise NoAnswer(
                f"no sidecar answers at {self.url}: {reason}; start it with 'voicegw-sidecar serve'"
            ) from None

    def _refusal(self, error: urllib.error.HTTPError, *, is_upload: bool) -> SidecarError:
        """Return what a refusal is: words that were wrong, or a no."""
        words = _own_words(error)
        if words is None:
            return NoAnswer(f"it answered with status {error.code}, which is not how a sidecar refuses")
        if error.code == 401 and self.authorization is None:
            words = f"{words}; set VOICEGW_API_KEY"
        match error.headers.get("X-VoiceGW-Error"):
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
            raise NoAnswer(f"what answers there is no sidecar of this version: its answer has no {'.'.join(names)}")
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


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key goes to the address it was meant for, and to no other."""

    def redirect_request(self, *args: object) -> None:
        return None


def _decoded(content: bytes, url: str) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NoAnswer(f"what answers at {url} is no sidecar: it sent no JSON") from None


def _own_words(error: urllib.error.HTTPError) -> str | None:
    """Return what the sidecar says with its refusal; None where it is not a sidecar's."""
    try:
        message = msgspec.json.decode(error.read(_OWN_WORDS_BYTES))["error"]["message"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, OSError):
        return None
    except http.client.HTTPException:
        return None
    return message if isinstance(message, str) else None

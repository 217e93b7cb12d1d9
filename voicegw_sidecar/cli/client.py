"""What commands ask of a running sidecar, over HTTP: its answers, and its refusals in one line."""

from __future__ import annotations

import argparse
import http.client
import os
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import msgspec

from voicegw_sidecar.errors import BadRequest, SidecarError, UnknownProject

DEFAULT_URL = "http://127.0.0.1:8080"
_TIMEOUT_S = 30.0
_OWN_WORDS_BYTES, _ANSWER_BYTES = 64 * 1024, 64 * 1024 * 1024


class NoAnswer(SidecarError):
    """No sidecar answers, or it says no: exit code 1."""


def add_url(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where the sidecar is."""
    parser.add_argument("--url", default=DEFAULT_URL, help=f"the sidecar's address; {DEFAULT_URL} by default")


def project_id(text: str) -> str:
    """Read a project's id; whether there is such a project the sidecar says."""
    if not text or "/" in text or not text.isprintable() or not text.isascii():
        raise argparse.ArgumentTypeError(f"found {text!r}, expected the id of a project")
    return text


def ask(
    options: argparse.Namespace, method: str, path: str, body: object = None, *,
    content: bytes | None = None, content_type: str = "application/json",
) -> Any:  # fmt: skip
    """Send one request and return its JSON; raises `NoAnswer` with the sidecar's own words, or why there are none."""
    url = _address(options.url)
    data = content if body is None else msgspec.json.encode(body)
    headers = {} if data is None else {"Content-Type": content_type}
    key = os.environ.get("VOICEGW_API_KEY")
    if key:
        headers["Authorization"] = f"Bearer {_key(key)}"
    request = urllib.request.Request(url + path, data, headers, method=method)  # noqa: S310 - the scheme was looked at
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as response:
            return _decoded(response.read(_ANSWER_BYTES), url)
    except urllib.error.HTTPError as error:
        raise _refusal(error, is_upload=content is not None) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise NoAnswer(f"no sidecar answers at {url}: {reason}; start it with 'voicegw-sidecar serve'") from None


def told(answer: Any, *names: str) -> Any:
    """Return what an answer holds under these names, one within the other; raises `NoAnswer` where it does not."""
    found = answer
    for name in names:
        if not isinstance(found, dict) or name not in found:
            raise NoAnswer(f"what answers there is no sidecar of this version: its answer has no {'.'.join(names)}")
        found = found[name]
    return found


def _address(text: str) -> str:
    """Return the sidecar's address; never repeats what may be a credential in it."""
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise BadRequest(f"--url: expected an address such as {DEFAULT_URL}") from None
    if not is_usable or not text.isascii() or "@" in parts.netloc or parts.query or " " in text:
        raise BadRequest(f"--url: expected an address such as {DEFAULT_URL}, in ASCII and without a user")
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
    except (msgspec.DecodeError, RecursionError):
        raise NoAnswer(f"what answers at {url} is no sidecar: it sent no JSON") from None


def _refusal(error: urllib.error.HTTPError, *, is_upload: bool) -> SidecarError:
    """Return what a refusal is to the command line: words that were wrong, or a no."""
    match error.headers.get("X-VoiceGW-Error"):
        case "unknown_project":
            return UnknownProject(_words(error))
        case "bad_request" if not is_upload:
            return BadRequest(_words(error))
        case _:
            return NoAnswer(_words(error))


def _words(error: urllib.error.HTTPError) -> str:
    try:
        told = msgspec.json.decode(error.read(_OWN_WORDS_BYTES))
        message = told["error"]["message"]
    except (msgspec.DecodeError, RecursionError, KeyError, TypeError, OSError):
        return f"it answered with status {error.code}, which is not how a sidecar refuses"
    hint = "; set VOICEGW_API_KEY" if error.code == 401 and not os.environ.get("VOICEGW_API_KEY") else ""
    return f"{message}{hint}"

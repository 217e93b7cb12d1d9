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
_OWN_WORDS_BYTES = 64 * 1024


class NoAnswer(SidecarError):
    """No sidecar answers, or it says no: exit code 1."""


def add_url(parser: argparse.ArgumentParser) -> None:
    """Add the option that says where the sidecar is."""
    parser.add_argument("--url", default=DEFAULT_URL, help=f"the sidecar's address; {DEFAULT_URL} by default")


def ask(
    options: argparse.Namespace, method: str, path: str, body: object = None, *,
    content: bytes | None = None, content_type: str = "application/json",
) -> Any:  # fmt: skip
    """Send one request and return its JSON; raises `NoAnswer` with the sidecar's own words, or why there are none."""
    url = options.url.rstrip("/")
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise BadRequest(f"--url: found {url[:80]!r}, expected an address such as {DEFAULT_URL}")
    data = content if body is None else msgspec.json.encode(body)
    headers = {} if data is None else {"Content-Type": content_type}
    key = os.environ.get("VOICEGW_API_KEY")
    if key:
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(url + path, data, headers, method=method)  # noqa: S310 - the scheme was looked at
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as response:
            return msgspec.json.decode(response.read())
    except urllib.error.HTTPError as error:
        raise _refusal(error, is_upload=content is not None) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise NoAnswer(f"no sidecar answers at {url}: {reason}; start it with 'voicegw-sidecar serve'") from None
    except msgspec.DecodeError:
        raise NoAnswer(f"what answers at {url} is no sidecar: it sent no JSON") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key goes to the address it was meant for, and to no other."""

    def redirect_request(self, *args: object) -> None:
        return None


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
    except (msgspec.DecodeError, KeyError, TypeError, OSError):
        return f"it answered with status {error.code}, which is not how a sidecar refuses"
    hint = "; set VOICEGW_API_KEY" if error.code == 401 and not os.environ.get("VOICEGW_API_KEY") else ""
    return f"{message}{hint}"

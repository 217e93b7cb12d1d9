"""Address kinds: URLs, hosts and networks of ``voicegw.yaml``.

Looks only at the text; resolves and dials nothing. A URL that may carry a credential is never repeated.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from voicegw_sidecar.config.kind import EnvText, Mismatch, expected, sort, words
from voicegw_sidecar.terms import Secret

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_VISIBLE = re.compile(r"[\x21-\x7e]+")
LONGEST_NAME = 253
LARGEST_PORT = 65535


def is_host(text: str) -> bool:
    """Tell whether a text is a host name or an address, without port and brackets."""
    return is_address(text) or (len(text) <= LONGEST_NAME and _NAME.fullmatch(text) is not None)


def is_address(text: str) -> bool:
    """Tell whether a text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Tell whether a bind host can be reached from this machine only; a name other than localhost cannot tell."""
    if host.lower() == "localhost":
        return True
    return is_address(host) and ipaddress.ip_address(host).is_loopback


class Url:
    """An http or https address without user, query and fragment; ``origin_only`` allows no path either."""

    def __init__(self, what: str, *, origin_only: bool = False) -> None:
        self.what, self.origin_only = what, origin_only

    def read(self, found: object) -> str:
        """Return the address without a trailing slash."""
        text = words(self.what, found)
        fault = _fault(text) or self._excess(text)
        if fault is None:
            return str(text).rstrip("/")
        if "@" in text or "?" in text or isinstance(found, EnvText):
            raise Mismatch(f"expected {self.what}, got one {fault}")
        raise Mismatch(f"{expected(self.what, found)} {fault}")

    def _excess(self, text: str) -> str | None:
        if "?" in text or "#" in text:
            return "with a query or fragment"
        return "with a path" if self.origin_only and urlsplit(text).path not in ("", "/") else None


class PrivateUrl:
    """An http or https address that is itself a credential, as webhooks are; never shown."""

    def __init__(self, what: str) -> None:
        self.what = what

    def read(self, found: object) -> Secret:
        """Return the address as written."""
        if not isinstance(found, str):
            raise Mismatch(f"expected {self.what}, got {sort(found)}")
        fault = _fault(found)
        if fault is not None:
            raise Mismatch(f"expected {self.what}, got one {fault}")
        return Secret(str(found))


def _fault(text: str) -> str | None:
    if not _VISIBLE.fullmatch(text):
        return "that is empty or has spaces or non-ASCII characters"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return "that is malformed"
    if parts.scheme not in ("http", "https"):
        return "without http:// or https://"
    if not parts.hostname or not is_host(parts.hostname) or port == 0:
        return "without a valid host"
    return "with a user or password" if "@" in parts.netloc else None


class Host:
    """A host to bind to: a name or an address."""

    def read(self, found: object) -> str:
        """Return the host as written."""
        what = "a host name or an address such as 127.0.0.1"
        text = words(what, found)
        if not is_host(text):
            raise expected(what, found)
        return str(text)


class AllowedHost:
    """What a ``Host`` header may say: a name or address, with a port or without."""

    def read(self, found: object) -> str:
        """Return it in lower case; an IPv6 address keeps or gets its brackets."""
        what = "a host such as voice.example.com, without scheme, path or *"
        text = words(what, found)
        if is_address(text):
            return f"[{text.lower()}]" if ":" in text else str(text)
        host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
        if not colon:
            host = text
        elif not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) <= LARGEST_PORT):
            raise expected(what, found)
        bracketed = host.startswith("[") and host.endswith("]") and ":" in host and is_address(host[1:-1])
        if not (bracketed or (is_host(host) and ":" not in host)):
            raise expected(what, found)
        return str(text).lower()


class Network:
    """An address or a block of addresses."""

    def read(self, found: object) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        """Return the network; a single address is a network of one."""
        what = "an address or network such as 10.0.0.0/8"
        text = words(what, found)
        try:
            return ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise expected(what, found) from None

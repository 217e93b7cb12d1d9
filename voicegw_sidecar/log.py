"""Logging: text for people or JSON for machines, to stderr; event first, then key=value.

Only fields that the code names are written, each on one line. No library's own debug output is let
through: it could hold a header or a payload.
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import msgspec

_USUAL = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {"message", "asctime", "taskName"}


def set_up(level: str, form: str) -> None:
    """Send the sidecar's log to stderr; other libraries' warnings too, and nothing less."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("voicegw_sidecar").setLevel(level.upper())
    # aiohttp logs whole tracebacks, request lines included, for errors that are the peer's
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _USUAL}


def _when(record: logging.LogRecord) -> str:
    return f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03d}Z"


class TextFormatter(logging.Formatter):
    """``time LEVEL event key=value``"""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = "".join(f" {name}={_plain(value)}" for name, value in _fields(record).items())
        return f"{_when(record)} {record.levelname} {_plain(record.getMessage())}{fields}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        body = {"time": _when(record), "level": record.levelname.lower(), "event": record.getMessage()}
        return msgspec.json.encode({**body, **_fields(record)}, enc_hook=str).decode()


def _plain(value: object) -> str:
    """A value cannot forge a line of its own."""
    return "".join(character if character.isprintable() else " " for character in str(value))

"""The templates, and how values look on a page: money, durations, times, and what is not known."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Any

import jinja2

from voicegw_sidecar import __version__
from voicegw_sidecar.resources import assets
from voicegw_sidecar.terms import NS_PER_S, Usage

UNKNOWN = "–"  # a dash, with a title that says so: unknown is never 0
STAMP = f"{__version__}-{secrets.token_hex(3)}"
"""In the addresses of static files: those of this start are not those that a browser kept of another version."""


def options() -> dict[str, Any]:
    """Return what an environment of these templates is made with."""
    return {
        "loader": jinja2.FileSystemLoader(assets() / "templates"),
        "autoescape": True,
        "undefined": jinja2.StrictUndefined,
        "auto_reload": False,
        "trim_blocks": True,
        "lstrip_blocks": True,
    }


def prepare(environment: jinja2.Environment, zone: tzinfo) -> jinja2.Environment:
    """Let an environment show values; times are shown in ``zone``."""
    environment.filters.update(
        usd=usd, usd_of_one=usd_of_one, ms=milliseconds, count=count, seconds=seconds, day=partial(day, zone=zone),
        clock=partial(clock_time, zone=zone), when=partial(when, zone=zone), moment=moment, usage=usage_words,
    )  # fmt: skip
    environment.globals.update(version=__version__, unknown=UNKNOWN, stamp=STAMP)
    return environment


def usd(nanousd: int | None) -> str:
    """Show money that adds up over a day: two decimals, four below one dollar."""
    if nanousd is None:
        return UNKNOWN
    dollars = nanousd / 1e9
    return f"{dollars:,.2f}" if dollars >= 1 or nanousd == 0 else f"{dollars:.4f}"


def usd_of_one(nanousd: int | None) -> str:
    """Show the cost of one exchange: always six decimals, so that a column of them lines up."""
    return UNKNOWN if nanousd is None else f"{nanousd / 1e9:,.6f}"


def milliseconds(value_ms: float | None) -> str:
    """Show a duration in whole milliseconds."""
    return UNKNOWN if value_ms is None else f"{value_ms:,.0f}"


def seconds(value_s: float | None) -> str:
    """Show a duration in seconds, of speech or of a call."""
    if value_s is None:
        return UNKNOWN
    return f"{value_s:.1f}" if value_s < 100 else f"{value_s:,.0f}"


def count(value: int | None) -> str:
    """Show a number of things."""
    return UNKNOWN if value is None else f"{value:,}"


def clock_time(wall_ns: int, zone: tzinfo) -> str:
    """Show the time of day."""
    return f"{datetime.fromtimestamp(wall_ns // NS_PER_S, zone):%H:%M:%S}"


def when(wall_ns: int, zone: tzinfo) -> str:
    """Show date and time of day."""
    return f"{datetime.fromtimestamp(wall_ns // NS_PER_S, zone):%Y-%m-%d %H:%M:%S}"


def day(wall_ns: int, zone: tzinfo) -> str:
    """Show the date."""
    return f"{datetime.fromtimestamp(wall_ns // NS_PER_S, zone):%Y-%m-%d}"


def moment(wall_ns: int) -> str:
    """Return the machine-readable time of a ``<time>`` element."""
    return f"{datetime.fromtimestamp(wall_ns // NS_PER_S, UTC):%Y-%m-%dT%H:%M:%SZ}"


def usage_words(usage: Usage) -> str:
    """Say in words what an exchange used."""
    words = []
    if usage.input_tokens is not None or usage.output_tokens is not None:
        sent = "?" if usage.input_tokens is None else f"{usage.input_tokens:,}"
        answered = "?" if usage.output_tokens is None else f"{usage.output_tokens:,}"
        words.append(f"{sent} → {answered} tokens")
    if usage.audio_s is not None:
        words.append(f"{usage.audio_s:.1f} s heard")
    if usage.characters is not None:
        words.append(f"{usage.characters:,} characters")
    if usage.audio_out_s is not None:
        words.append(f"{usage.audio_out_s:.1f} s spoken")
    return ", ".join(words)

"""Renders pages beside the calls: query and template run on a reader thread, never on the event loop.

Also how values look on a page: money, durations, times, and what is not known.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from functools import partial

import aiohttp_jinja2
import apsw
import jinja2
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar import __version__
from voicegw_sidecar.resources import assets
from voicegw_sidecar.terms import NS_PER_S, Usage
from voicegw_sidecar.web.chrome import Chrome, chrome_of
from voicegw_sidecar.web.visit import Visit

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Vary": "HX-Request, Cookie",
}
UNKNOWN = "–"  # a dash, with a title that says so: unknown is never 0

Build = Callable[[apsw.Connection], Struct]
"""Asks the database and returns what a template shows; runs on a reader thread."""


def set_up(app: web.Application, zone: tzinfo) -> None:
    """Give the application its templates; times are shown in ``zone``."""
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(assets() / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        usd=usd, usd_of_one=usd_of_one, ms=milliseconds, count=count, seconds=seconds, day=partial(day, zone=zone),
        clock=partial(clock_time, zone=zone), when=partial(when, zone=zone), moment=moment, usage=usage_words,
    )  # fmt: skip
    # the files of this start are not those that a browser kept of another version
    environment.globals.update(version=__version__, unknown=UNKNOWN, stamp=f"{__version__}-{secrets.token_hex(3)}")
    for name in environment.list_templates():
        environment.get_template(name)  # read now: a first visit must not read files on the event loop


async def show(seen: Visit, template: str, build: Build, *, home: str, status: int = 200) -> web.Response:
    """Render a page, or the part of it that a template stands for."""
    chrome = chrome_of(seen, home)
    environment = aiohttp_jinja2.get_env(seen.request.app)

    def work(connection: apsw.Connection) -> bytes:
        return environment.get_template(template).render(chrome=chrome, page=build(connection)).encode()

    return html(await seen.runtime.store.read(work), status)


def draw(request: web.Request, template: str, chrome: Chrome | None, page: Struct, status: int = 200) -> web.Response:
    """Render a small page that asks nothing of the database."""
    text = aiohttp_jinja2.get_env(request.app).get_template(template).render(chrome=chrome, page=page)
    return html(text.encode(), status)


def html(body: bytes, status: int = 200) -> web.Response:
    """Return a page with the headers that every page has."""
    return web.Response(status=status, body=body, content_type="text/html", charset="utf-8", headers=PAGE_HEADERS)


def see_other(location: str) -> web.Response:
    """Send the browser to another page after a form."""
    return web.Response(status=303, headers={**PAGE_HEADERS, "Location": location})


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

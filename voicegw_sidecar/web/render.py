"""Templates and how values look on a page: money, durations, times, and what is not known."""

from __future__ import annotations

from datetime import UTC, datetime

import aiohttp_jinja2
import jinja2
from aiohttp import web

from voicegw_sidecar import __version__
from voicegw_sidecar.resources import assets
from voicegw_sidecar.terms import NS_PER_S

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
    "Vary": "HX-Request",
}
UNKNOWN = "–"  # a dash, with a title that says so: unknown is never 0


def set_up(app: web.Application) -> None:
    """Give the application its templates."""
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(assets() / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(usd=usd, usd_of_one=usd_of_one, ms=milliseconds, clock=clock_time, moment=moment)
    for name in environment.list_templates():
        environment.get_template(name)  # read now: a first visit must not read files on the event loop
    environment.globals.update(version=__version__, unknown=UNKNOWN)


def page(request: web.Request, template: str, context: dict[str, object]) -> web.Response:
    """Render a page, or a part of one."""
    response = aiohttp_jinja2.render_template(template, request, context)
    response.headers.update(PAGE_HEADERS)
    return response


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


def clock_time(wall_ns: int) -> str:
    """Show the time of day, UTC."""
    return f"{datetime.fromtimestamp(wall_ns // NS_PER_S, UTC):%H:%M:%S}"


def moment(wall_ns: int) -> str:
    """Return the machine-readable time of a ``<time>`` element."""
    return f"{datetime.fromtimestamp(wall_ns // NS_PER_S, UTC):%Y-%m-%dT%H:%M:%SZ}"

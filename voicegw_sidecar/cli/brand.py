"""``brand set``, ``brand show`` and ``brand clear``: a project's look, over HTTP."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import quote

from voicegw_sidecar.cli.client import add_url, ask, project_id
from voicegw_sidecar.cli.output import UNKNOWN, say, say_json
from voicegw_sidecar.control_client import told
from voicegw_sidecar.errors import BadRequest

_MOST_BYTES = 1024 * 1024  # the sidecar says what is too large; nobody uploads a film by mistake


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of ``brand`` and their options."""
    commands = parser.add_subparsers(metavar="set|show|clear", required=True, parser_class=type(parser))
    words = {
        "set": ("set what is named", set_brand),
        "show": ("show what is in force", show),
        "clear": ("go back to the configuration file's", clear),
    }
    for name, (help_, run) in words.items():
        command = commands.add_parser(name, help=help_, description=help_)
        command.add_argument("--project", required=True, type=project_id, help="whose")
        add_url(command)
        command.add_argument("--json", action="store_true", help="print as JSON")
        command.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        command.set_defaults(brand=run)
        if name == "set":
            command.add_argument("--logo", metavar="FILE", help="PNG, at most 512 x 512 pixels, or SVG; at most 256 KB")
            command.add_argument("--accent", metavar="COLOUR", help="#RGB or #RRGGBB, in quotes")
            command.add_argument("--name", help="product name, at most 64 characters")


def brand(options: argparse.Namespace) -> int:
    """Run the subcommand."""
    code: int = options.brand(options)
    return code


def set_brand(options: argparse.Namespace) -> int:
    """Set name and accent, then the logo."""
    path = _path(options)
    changes = {"product_name": options.name, "accent_color": options.accent}
    changes = {name: value for name, value in changes.items() if value is not None}
    if not changes and options.logo is None:
        raise BadRequest("nothing to set; name at least one of --logo, --accent and --name")
    logo = None if options.logo is None else _read(Path(options.logo))
    found: Any = None
    if logo is not None:  # first: it is what may be refused, and then nothing is set
        boundary = secrets.token_hex(16)
        content = b"".join((
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="logo"\r\n\r\n'.encode(),
            logo, f"\r\n--{boundary}--\r\n".encode(),
        ))  # fmt: skip
        kind = f"multipart/form-data; boundary={boundary}"
        found = ask(options, "POST", f"{path}/logo", content=content, content_type=kind)
    if changes:
        found = ask(options, "POST", path, changes)
    return _say(options, found, f"Project {options.project} branding updated:")


def show(options: argparse.Namespace) -> int:
    """Show what is in force."""
    return _say(options, ask(options, "GET", _path(options)), f"Project {options.project} branding:")


def clear(options: argparse.Namespace) -> int:
    """Go back to the configuration file's, if it has any."""
    return _say(options, ask(options, "DELETE", _path(options)), f"Project {options.project} branding cleared:")


def _path(options: argparse.Namespace) -> str:
    return f"/api/projects/{quote(options.project, safe='')}/branding"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise BadRequest(f"--logo: {path} cannot be read: {error.strerror}") from None


def _say(options: argparse.Namespace, found: Any, title: str) -> int:
    if options.json:
        say_json(found)
        return 0
    names = (("Logo", "logo_url"), ("Accent color", "accent_color"), ("Product name", "product_name"))
    values = [(title_, told(found, "branding", name) or UNKNOWN) for title_, name in names]
    say(title)
    for title_, value in values:
        say(f"  {title_}: {value}")
    return 0

"""``share create``, ``share list`` and ``share revoke``: links that show one project, over HTTP."""

from __future__ import annotations

import argparse
from urllib.parse import quote, urlencode

from voicegw_sidecar.cli.client import add_url, ask, project_id
from voicegw_sidecar.cli.output import say, say_json, say_table
from voicegw_sidecar.control_client import told


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of ``share`` and their options."""
    commands = parser.add_subparsers(metavar="create|list|revoke", required=True, parser_class=type(parser))
    made = commands.add_parser("create", help="make a link and print it: it cannot be shown again")
    made.add_argument("project", metavar="PROJECT", type=project_id)
    made.add_argument("--days", type=_days, default=30, metavar="N", help="how long it is valid; 30 by default")
    made.add_argument("--label", default="", help="for whom")
    made.set_defaults(share=create)
    listed = commands.add_parser("list", help="list the links there are and were")
    listed.add_argument("project", metavar="PROJECT", nargs="?", type=project_id)
    listed.set_defaults(share=listing)
    ended = commands.add_parser("revoke", help="end a link at once")
    ended.add_argument("id", metavar="ID", type=project_id)
    ended.set_defaults(share=revoke)
    for command in (made, listed, ended):
        add_url(command)
        command.add_argument("--json", action="store_true", help="print as JSON")
        command.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= 3650):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number of days, 1 to 3650")
    return int(text)


def share(options: argparse.Namespace) -> int:
    """Run the subcommand."""
    code: int = options.share(options)
    return code


def create(options: argparse.Namespace) -> int:
    """Make a link and print its address."""
    body = {"project": options.project, "days": options.days, "label": options.label}
    found = ask(options, "POST", "/api/shares", body)
    if options.json:
        say_json(found)
    else:
        say(told(found, "url"))
    return 0


def listing(options: argparse.Namespace) -> int:
    """List links, of one project or all."""
    query = f"?{urlencode({'project': options.project})}" if options.project else ""
    found = ask(options, "GET", f"/api/shares{query}")
    if options.json:
        say_json(found)
        return 0
    rows = [
        (
            told(one, "id"),
            told(one, "project"),
            told(one, "state"),
            told(one, "created_at")[:10],
            told(one, "expires_at")[:10],
            told(one, "label"),
        )
        for one in told(found, "shares")
    ]
    say_table(("ID", "PROJECT", "STATE", "MADE", "ENDS", "LABEL"), rows)
    return 0


def revoke(options: argparse.Namespace) -> int:
    """End a link at once."""
    found = ask(options, "DELETE", f"/api/shares/{quote(options.id, safe='')}")
    if options.json:
        say_json(found)
    else:
        say(f"Share link {told(found, 'id')} of project {told(found, 'project')} is revoked.")
    return 0

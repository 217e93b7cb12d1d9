"""``mcp``: the MCP server over stdio, for editors; a client of the running sidecar."""

from __future__ import annotations

import argparse
import os
import sys

from voicegw_sidecar.control_client import DEFAULT_URL, control_client
from voicegw_sidecar.errors import ConfigError

_VARIABLE = "VOICEGW_URL"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``mcp``."""
    parser.add_argument("--url", help=f"the sidecar's address; {_VARIABLE} or {DEFAULT_URL} by default")


def mcp(options: argparse.Namespace) -> int:
    """Serve until stdin is closed; it also starts where no sidecar runs."""
    from voicegw_sidecar.log import set_up
    from voicegw_sidecar.mcp import sdk, server

    variable = os.environ.get(_VARIABLE)
    url_from = _VARIABLE if options.url is None and variable else "--url"
    url = options.url if options.url is not None else variable or DEFAULT_URL
    client = control_client(url, os.environ.get("VOICEGW_API_KEY"), url_from=url_from)
    if not sdk.is_installed():
        built = "this executable is built without the MCP server" if getattr(sys, "frozen", False) else "it is an extra"
        raise ConfigError("", f"{built}; install it with: pip install 'voicegw-sidecar[mcp]'")
    set_up("warning", "text")
    if server.is_connected():
        server.serve(client)
    return 0

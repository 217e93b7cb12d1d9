"""What commands ask of a running sidecar, by `control_client`: the option and the variable that say where it is."""

from __future__ import annotations

import argparse
import os
from typing import Any

from voicegw_sidecar.control_client import DEFAULT_URL, control_client


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
    """Send one request and return its JSON; raises as `ControlClient.ask` does."""
    client = control_client(options.url, os.environ.get("VOICEGW_API_KEY"))
    return client.ask(method, path, body, content=content, content_type=content_type)

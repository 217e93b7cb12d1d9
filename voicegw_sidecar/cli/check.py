"""``check``: validate the configuration and say every fault, without starting anything."""

from __future__ import annotations

import argparse
import os
import sys

from voicegw_sidecar.cli.output import say, say_json
from voicegw_sidecar.settings import examine_settings


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``check``."""
    parser.add_argument("--json", action="store_true", help="print as JSON")


def check(options: argparse.Namespace) -> int:
    """Print what is wrong, one line a fault; 2 if anything is."""
    loaded, errors = examine_settings(getattr(options, "config", None), os.environ)
    if not errors:
        from voicegw_sidecar.brands import read_file_logos

        # a sidecar serves all the same, without that logo: a picture stops no call
        errors = [*read_file_logos(loaded.config.projects.values()).faults.values()]
    source = str(loaded.path) if loaded.path else None
    if options.json:
        faults = [{"path": error.path, "message": error.message} for error in errors]
        say_json({"ok": not errors, "config_path": source, "errors": faults})
        return 2 if errors else 0
    for error in errors:
        sys.stderr.write(f"{error.message}\n")
    if errors:
        return 2
    say(f"{source or 'No configuration file: defaults'} is valid.")
    return 0

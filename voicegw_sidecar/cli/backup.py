"""``backup FILE``: a copy of the database, also while a sidecar writes it."""

from __future__ import annotations

import argparse
import os
import signal
from pathlib import Path
from typing import NoReturn

from voicegw_sidecar.cli.database import settings_of
from voicegw_sidecar.cli.output import say, say_json
from voicegw_sidecar.errors import StoreFailed

_NICENESS = 10


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``backup``."""
    parser.add_argument("file", metavar="FILE", type=Path, help="where the copy goes; its folder exists")
    parser.add_argument("--force", action="store_true", help="replace the file if it is there")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def _interrupted(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def backup(options: argparse.Namespace) -> int:
    """Write the copy, and say what else lies beside the database."""
    from voicegw_sidecar.brands import FOLDER
    from voicegw_sidecar.signing import FILE_NAME
    from voicegw_sidecar.store.backup import back_up

    source = settings_of(options).config.cost_tracking.db_path
    if not source.exists():
        raise StoreFailed(f"no database at {source} yet: start the sidecar once with 'voicegw-sidecar serve'")
    os.nice(_NICENESS)  # calls come first, also where they share the processor with this
    signal.signal(signal.SIGTERM, _interrupted)  # what is half written is removed
    size_bytes = back_up(source, options.file, replaces=options.force)
    beside = [str(path) for path in (source.parent / FILE_NAME, source.parent / FOLDER) if path.exists()]
    if options.json:
        say_json({"database": str(source), "backup": str(options.file), "size_bytes": size_bytes, "beside": beside})
        return 0
    say(f"{options.file} is a copy of {source}, {size_bytes / 1e6:,.1f} MB.")
    if beside:
        say(f"Not in it, copy these too: {', '.join(beside)}")
    return 0

"""The command line: ``voicegw-sidecar``. ``--version`` answers before anything else is imported."""

from __future__ import annotations

import sys


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 the answer is no, 2 wrong usage or configuration."""
    words = sys.argv[1:] if arguments is None else arguments
    if words == ["--version"]:
        from voicegw_sidecar import __version__

        sys.stdout.write(f"voicegw-sidecar {__version__}\n")
        return 0
    from voicegw_sidecar.cli.commands import run

    return run(words)

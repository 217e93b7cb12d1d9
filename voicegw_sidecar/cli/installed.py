"""Which clients the agent's Python has installed, by its folders: the lines of others need not be shown.

Told only where the command lies in an environment of its own, as ``.venv/bin/python`` does. Nothing is run or imported.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from voicegw_sidecar.cli.client_lines import ALL

_FOLDERS = {"LiveKit": "livekit/agents", "Pipecat": "pipecat"}


def is_installed(command: str, environ: Mapping[str, str]) -> Callable[[str], bool]:
    """Return what says of a client whether the command's Python has it; of any, where that cannot be told."""
    program = shutil.which(command, path=environ.get("PATH"))
    folders = [] if program is None else [*Path(program).parent.parent.glob("lib/python3.*/site-packages")]
    found = {line.client for line in ALL if any((folder / _folder(line.client)).is_dir() for folder in folders)}
    return found.__contains__ if found else lambda client: True


def _folder(client: str) -> str:
    """Return the folder of a client's package: of an SDK its vendor's name."""
    word = client.partition(" ")[0]
    return _FOLDERS.get(word, word)

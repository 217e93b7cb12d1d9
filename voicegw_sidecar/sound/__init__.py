"""Sound as such: its rate changed, packed into files and unpacked. No provider is named here.

Pure computation on bytes. The libraries behind it are imported when they are first used: see `load`.
"""

from __future__ import annotations

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path

from voicegw_sidecar.resources import unpacked

PACKED = "sound.zip"
"""The libraries in the executable, made by ``build/pack_sound.py``."""
_CPP_RUNTIME = "libstdc++.so.6"


def load() -> None:
    """Import the libraries: 0.1 s and 15 MB, once. To be called on a thread before the first conversion on the loop.

    The executable unpacks them first: 0.6 s and 48 MB, and :class:`SidecarError` where it has no room for them. What
    needs them calls this itself, so that whoever forgets to loses time and nothing else.
    """
    if find_spec("numpy") is None and (folder := unpacked(PACKED)) is not None:
        _add(folder)
    import numpy  # noqa: F401
    import soundfile  # noqa: F401
    import soxr  # noqa: F401


def _add(folder: Path) -> None:
    """Make importable what lies in a folder."""
    try:
        ctypes.CDLL(_CPP_RUNTIME)  # the system's own: the one that is packed may ask for a newer glibc
    except OSError:
        ctypes.CDLL(str(folder / _CPP_RUNTIME))  # found by its name from here on
    sys.path.append(str(folder))

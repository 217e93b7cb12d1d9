"""Makes Pillow importable: installed with the sidecar, or unpacked by the executable when a logo is first read."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from voicegw_sidecar.resources import unpacked

PACKED = "images.zip"
"""Pillow in the executable, made by ``build/pack_images.py``."""


def find() -> None:
    """Let ``import PIL`` find it; :class:`SidecarError` where the executable has no room to unpack it."""
    if find_spec("PIL") is None and (folder := unpacked(PACKED)) is not None:
        sys.path.append(str(folder))

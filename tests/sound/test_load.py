"""The libraries of `voicegw_sidecar.sound` are imported when they are needed and not before."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
import voicegw_sidecar.app, voicegw_sidecar.sound
import voicegw_sidecar.sound.decode, voicegw_sidecar.sound.encode, voicegw_sidecar.sound.resample
from voicegw_sidecar.sound.encode import Encoder
from voicegw_sidecar.sound.resample import Resampler
Resampler(8000, 8000).feed(b"abcd"), Encoder("wav", 8000).feed(b"abcd")
print([name for name in ("numpy", "soundfile", "soxr") if name in sys.modules])
voicegw_sidecar.sound.load()
print([name for name in ("numpy", "soundfile", "soxr") if name in sys.modules])
"""


def test_nothing_imports_them_until_load() -> None:
    ran = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    before, after = ran.stdout.splitlines()
    assert before == "[]"
    assert after == "['numpy', 'soundfile', 'soxr']"

"""Sound to send: the simulator's buzz, or real synthesised speech."""

from __future__ import annotations

import shutil
import subprocess
from array import array
from collections.abc import Iterator
from itertools import pairwise

import pytest

from voicegw_sidecar.simulator.speech import silence, sound
from voicegw_sidecar.wire.pcm import PcmFormat

PCM = PcmFormat("linear16", 16_000)
_QUIET = 400


def buzz(length_s: float = 0.6, before_s: float = 0.2, after_s: float = 0.5) -> bytes:
    """Something loud between two silences."""
    return silence(PCM, before_s) + sound(PCM, 0.0, length_s) + silence(PCM, after_s)


def spoken(text: str, after_s: float = 0.6) -> bytes:
    """Real speech at 16 kHz between silences of 0.3 s and ``after_s``; skips where no synthesiser is installed."""
    espeak = shutil.which("espeak-ng")
    if espeak is None:
        pytest.skip("espeak-ng is not installed")
    made = subprocess.run([espeak, "--stdout", text], check=True, capture_output=True).stdout
    samples, rate_hz = array("h", made[44:]), 22_050  # a streamed WAV file: its sizes are not known in advance
    voiced = [index for index, sample in enumerate(samples) if abs(sample) > _QUIET]
    samples = samples[voiced[0] : voiced[-1] + 1]
    step = rate_hz / PCM.rate_hz
    resampled = array("h")
    for index in range(int((len(samples) - 1) / step)):
        at = index * step
        low, high = samples[int(at)], samples[int(at) + 1]
        resampled.append(round(low + (high - low) * (at - int(at))))
    return silence(PCM, 0.3) + resampled.tobytes() + silence(PCM, after_s)


def frames(audio: bytes, frame_s: float = 0.05) -> Iterator[bytes]:
    """The audio in frames as a client sends them."""
    size = round(PCM.bytes_per_s * frame_s)
    borders = [*range(0, len(audio), size), len(audio)]
    return (audio[start:end] for start, end in pairwise(borders))

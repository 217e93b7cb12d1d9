"""Tones to convert, and how clean they are afterwards."""

from __future__ import annotations

import numpy

PEAK = 12_000


def tone(hz: float, rate_hz: int, length_s: float) -> bytes:
    """A sine of 16-bit mono samples."""
    at_s = numpy.arange(round(length_s * rate_hz)) / rate_hz
    return numpy.rint(PEAK * numpy.sin(2 * numpy.pi * hz * at_s)).astype("<i2").tobytes()


def noise_db(samples: bytes, hz: float, rate_hz: int) -> float:
    """How loud everything is that is not a sine of this frequency, of any phase, against it; the ends left out."""
    found = numpy.frombuffer(samples, "<i2").astype(float)[rate_hz // 20 : -rate_hz // 20]
    at_s = numpy.arange(len(found)) / rate_hz
    basis = numpy.stack([numpy.sin(2 * numpy.pi * hz * at_s), numpy.cos(2 * numpy.pi * hz * at_s)], axis=1)
    fitted = basis @ numpy.linalg.lstsq(basis, found, rcond=None)[0]
    return float(20 * numpy.log10(numpy.std(found - fitted) / numpy.std(fitted)))


def level_db(samples: bytes) -> float:
    """How loud it is against `tone`; the ends left out."""
    found = numpy.frombuffer(samples, "<i2").astype(float)
    middle = found[len(found) // 5 : -len(found) // 5]
    return float(20 * numpy.log10(max(numpy.std(middle), 1e-3) * numpy.sqrt(2) / PEAK))

"""What listen drivers share: binary samples, messages in JSON, rates that a provider takes, and pieces of a length."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from voicegw_sidecar.drivers.base import Message, Messages, SocketAddress
from voicegw_sidecar.drivers.segments import PAUSE_S
from voicegw_sidecar.wire.frames import Kind

SAMPLE_BYTES = 2
_MS_PER_S = 1000


class _Told(Struct, frozen=True):
    type: str = ""


_told = msgspec.json.Decoder(_Told)


class Listening(ABC):
    """Base of listen drivers: the provider takes samples as they are and closes the socket by itself."""

    keepalive_s: float | None = None
    finish_transcribes = False
    pause_s = PAUSE_S

    def __init__(self, address: SocketAddress, rate_hz: int) -> None:
        self.address = address
        self.rate_hz = rate_hz

    def opening(self) -> Messages:
        """Nothing comes before the audio: the address says it all."""
        return ()

    def audio(self, samples: bytes) -> Messages:
        """Send the samples as they are."""
        return binary(samples)

    @abstractmethod
    def finalize(self) -> Messages:
        """Ask for the final transcript of what was sent so far."""

    def keepalive(self) -> Messages:
        """The stream stays open by itself."""
        return ()

    @abstractmethod
    def finish(self) -> Messages:
        """Say that no more audio comes."""

    def is_over(self, data: bytes) -> bool:
        """The provider closes the socket after its last message."""
        return False


class Pieces:
    """Samples in pieces of at least ``least_ms`` and at most ``most_ms``; holds less than the least."""

    def __init__(self, rate_hz: int, least_ms: int, most_ms: int) -> None:
        self._least_bytes = len(silence(rate_hz, least_ms))
        self._most_bytes = rate_hz * most_ms // _MS_PER_S * SAMPLE_BYTES
        self._held = bytearray()

    def feed(self, samples: bytes) -> Iterator[bytes]:
        """Give the pieces that are long enough by now."""
        self._held += samples
        while len(self._held) >= self._least_bytes:
            piece = bytes(self._held[: self._most_bytes])
            del self._held[: len(piece)]
            yield piece

    def rest(self) -> bytes:
        """Give what is held, with silence up to the least; empty where nothing is."""
        rest = bytes(self._held).ljust(self._least_bytes, b"\0") if self._held else b""
        self._held.clear()
        return rest


def silence(rate_hz: int, length_ms: int) -> bytes:
    """Return samples of silence that last no less than so long."""
    return bytes(-(-rate_hz * length_ms // _MS_PER_S) * SAMPLE_BYTES)


def nearest_rate(wanted_hz: int, known_hz: tuple[int, ...]) -> int:
    """Return the rate that is wanted where it is known, else the next higher one, else the highest; lowest first."""
    return next((rate_hz for rate_hz in known_hz if rate_hz >= wanted_hz), known_hz[-1])


def message_type(data: bytes) -> str:
    """Return the ``type`` of a message in JSON; "" where it has none."""
    try:
        return _told.decode(data).type
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def text(payload: object) -> Messages:
    """Return one text message in JSON."""
    return (Message(Kind.TEXT, msgspec.json.encode(payload)),)


def binary(samples: bytes) -> Messages:
    """Return one binary message; none where there is nothing to send."""
    return (Message(Kind.BINARY, samples),) if samples else ()

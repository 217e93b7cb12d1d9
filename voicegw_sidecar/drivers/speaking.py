"""What text-to-speech drivers share: utterances on a socket, and which sound to ask for.

A provider is asked for the very sound that is wanted where it delivers it, else for plain samples, or a WAV file
where it has nothing plainer, at the rate that loses least. Whoever asked converts those.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType

import msgspec
from msgspec import Struct

from voicegw_sidecar.asks import Container, Sound
from voicegw_sidecar.drivers.base import Messages, Pairs, ProviderRequest, SocketAddress
from voicegw_sidecar.drivers.listening import nearest_rate
from voicegw_sidecar.errors import BadRequest

USUAL_HZ = 24_000
"""The rate where none is named: OpenAI's."""
_JSON = ("Content-Type", "application/json")
_USUAL_PACE = 1.0


class Speaking(ABC):
    """Base of speak drivers: text begins an utterance, `flush` ends it; an idle socket stays open by itself."""

    keepalive_s: float | None = None

    def __init__(self, address: SocketAddress, rate_hz: int) -> None:
        self.address = address
        self.rate_hz = rate_hz
        self._is_open = False
        self._goes_on = False  # the utterance does, though the provider has ended what it was told of it
        self._ends = 0

    @property
    def ends(self) -> int:
        """See `SpeakDriver.ends`."""
        return self._ends

    @property
    def is_due(self) -> bool:
        """See `SpeakDriver.is_due`: whatever text there is."""
        return self._ends > 0

    def opening(self) -> Messages:
        """Nothing comes before the text: the address or the text's own messages say it all."""
        return ()

    def speak(self, text: str) -> Messages:
        """Send text; blanks before an utterance begin none."""
        if self._is_open:
            return self._more(text)
        if not text.strip():
            return ()
        self._is_open = True
        self._ends = self._ends + 1 if self._goes_on else 1
        return self._first(text)

    def flush(self) -> Messages:
        """End the utterance; one without text ends by itself."""
        goes_on, self._goes_on = self._goes_on, False
        if not self._is_open:
            self._ends = self._ends if goes_on else 0
            return ()
        self._is_open = False
        return self._last()

    def ended(self) -> None:
        """See `SpeakDriver.ended`: further text begins anew."""
        self._is_open, self._goes_on = False, True

    def cancel(self) -> Messages:
        """Stop the utterance, whether it was flushed or not."""
        has_text, self._ends, self._is_open, self._goes_on = self._ends > 0, 0, False, False
        return self._stop() if has_text else ()

    def keepalive(self) -> Messages:
        """The socket stays open by itself."""
        return ()

    @abstractmethod
    def finish(self) -> Messages:
        """See `SpeakDriver.finish`."""

    @abstractmethod
    def _first(self, text: str) -> Messages:
        """Begin an utterance with this text."""

    @abstractmethod
    def _more(self, text: str) -> Messages:
        """Add text to the utterance."""

    @abstractmethod
    def _last(self) -> Messages:
        """Say that the utterance has no more text."""

    @abstractmethod
    def _stop(self) -> Messages:
        """Stop the utterance at once."""


class Offer(Struct, frozen=True):
    """The sound that a provider can be asked for: its rates in Hz, lowest first.

    ``pcm_hz`` is empty where it has WAV files in place of plain samples. What of ``packed`` has no rates says its own.
    """

    pcm_hz: tuple[int, ...]
    packed: Mapping[Container, tuple[int, ...]] = MappingProxyType({})


def sound_to_ask(offer: Offer, wanted: Sound, provider_id: str) -> Sound:
    """Return what of the offer to ask for; :class:`BadRequest` where nothing of it can be made into what is wanted."""
    rate_hz = wanted.rate_hz or USUAL_HZ
    rates_hz = offer.packed.get(wanted.container)
    if rates_hz is not None and (wanted.rate_hz is None or wanted.rate_hz in rates_hz):
        return Sound(wanted.container, nearest_rate(rate_hz, rates_hz) if rates_hz else None)
    if wanted.container is Container.AAC:
        raise BadRequest(
            f"response_format: found 'aac', which {provider_id} does not deliver and which cannot be made here; "
            "expected pcm, wav, mp3, opus or flac"
        )
    return Sound(Container.PCM, nearest_rate(rate_hz, offer.pcm_hz)) if offer.pcm_hz else Sound(Container.WAV)


def pace(speed: float | None, least: float, most: float, model: str) -> float | None:
    """Return the pace to ask for, None for the voice's own; :class:`BadRequest` for one that it cannot have."""
    if speed is None or speed == _USUAL_PACE:
        return None
    if not least <= speed <= most:
        raise BadRequest(f"speed: found {speed:g}, expected {least:g} to {most:g}, which is what {model} can do")
    return speed


def without_none(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def json_request(path: str, body: Mapping[str, object], query: Pairs = (), headers: Pairs = ()) -> ProviderRequest:
    """Return a POST of JSON; fields that are None are left out."""
    return ProviderRequest("POST", path, query, (*headers, _JSON), msgspec.json.encode(without_none(body)))

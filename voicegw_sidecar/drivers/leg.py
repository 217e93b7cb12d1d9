"""A leg: the provider and model that may serve one call."""

from __future__ import annotations

from msgspec import Struct

from voicegw_sidecar.providers.base import Provider
from voicegw_sidecar.terms import Modality


class Leg(Struct, frozen=True):
    """A provider and model that may serve a call.

    ``variant`` is the voice or language that the name or roster entry has. ``patience_ms`` is how long it may stay
    silent before the next leg is tried; None for as long as the provider's own time limits say. ``is_stand_in``
    marks the local server of a spent budget, ``is_substitute`` whatever the caller did not choose: a voice that it
    named need not fit. ``is_declared`` marks a server that the configuration declares to be like OpenAI's.
    """

    modality: Modality
    provider: Provider
    model: str
    variant: str | None = None
    patience_ms: float | None = None
    is_stand_in: bool = False
    is_substitute: bool = False
    is_declared: bool = False

    @property
    def name(self) -> str:
        """``provider/model``; of a local server that names no model, its id."""
        return f"{self.provider.id}/{self.model}" if self.model else self.provider.id

    @property
    def is_openai(self) -> bool:
        """True where the caller's own request is passed on: it speaks all of OpenAI's protocol."""
        return self.provider.id == "openai" or self.is_declared

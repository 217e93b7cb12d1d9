"""A session's route as it is kept and shown: what was picked for each modality, and what was really used."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from voicegw_sidecar.routing.latency import Source
from voicegw_sidecar.terms import Modality


class RouteLeg(Struct, frozen=True):
    """One modality of a route; of a leg that nobody picked, what was used first. ``used`` names provider/model.

    ``variant`` is the voice or language that its roster entry names.
    """

    provider: str
    model: str | None
    predicted_ms: float | None = None
    source: Source | None = None
    samples: int | None = None
    used: tuple[str, ...] = ()
    variant: str | None = None


_decoder = msgspec.json.Decoder(dict[Modality, RouteLeg])


def written_route(route: Mapping[Modality, RouteLeg]) -> str:
    """Return a route as the database has it."""
    return msgspec.json.encode(route).decode()


def read_route(text: str) -> dict[Modality, RouteLeg]:
    """Read a route from the database; what no program of ours wrote is none."""
    try:
        return _decoder.decode(text)
    except msgspec.MsgspecError:
        return {}

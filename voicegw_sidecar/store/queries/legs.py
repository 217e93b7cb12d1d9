"""How each provider does at the moment: medians of the newest exchanges."""

from __future__ import annotations

import statistics

import apsw
from msgspec import Struct

from voicegw_sidecar.terms import Modality

NEWEST_ROWS = 600
"""Exchanges that are looked at: a glance, whose cost does not grow with the traffic."""
FEWEST_SAMPLES = 3


class Leg(Struct, frozen=True):
    """One provider's first useful output, by the newest exchanges that succeeded."""

    modality: Modality
    provider: str
    p50_ms: float
    samples: int


def legs_now(connection: apsw.Connection, first_id: str, project: str | None) -> list[Leg]:
    """Return each provider's median since ``first_id``, the slowest first; too few samples are none."""
    which, values = ("project = ? AND ", (project,)) if project is not None else ("", ())
    query = (
        "SELECT modality, provider, first_ms FROM (SELECT modality, provider, first_ms, status FROM exchange "  # noqa: S608
        f"WHERE {which}id >= ? ORDER BY id DESC LIMIT ?) "
        "WHERE status = 'ok' AND first_ms IS NOT NULL AND modality IN ('stt', 'llm', 'tts')"
    )
    samples: dict[tuple[str, str], list[float]] = {}
    for modality, provider, first_ms in connection.execute(query, (*values, first_id, NEWEST_ROWS)):
        samples.setdefault((str(modality), str(provider)), []).append(float(first_ms))
    legs = [
        Leg(Modality(modality), provider, statistics.median(found), len(found))
        for (modality, provider), found in samples.items()
        if len(found) >= FEWEST_SAMPLES
    ]
    return sorted(legs, key=lambda leg: leg.p50_ms, reverse=True)

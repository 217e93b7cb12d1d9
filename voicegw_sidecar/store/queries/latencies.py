"""What was observed of each provider's latency: rolled up from the exchanges, and as the last roll-up left it."""

from __future__ import annotations

from collections.abc import Iterable

import apsw
from msgspec import Struct

from voicegw_sidecar.routing.latency import POOLED, Key, Observed
from voicegw_sidecar.routing.window import KEPT_SAMPLES, Window
from voicegw_sidecar.store.session_records import ObservationRow
from voicegw_sidecar.terms import Modality

# Quantiles by linear interpolation between the two ranks beside (n - 1) × share, done where the rows are: a day of a
# busy sidecar is a million of them. Exchanges are found by their ids, which begin with the time they were made.
_ROLL_UP = """
WITH seen AS (
    SELECT project, modality, provider, coalesce(model, '') AS model, first_ms FROM exchange
    WHERE id >= :first_id AND status = 'ok' AND first_ms IS NOT NULL
      AND modality IN ('stt', 'llm', 'tts')
), keyed AS (
    SELECT * FROM seen WHERE model <> '' UNION ALL SELECT project, modality, provider, '', first_ms FROM seen
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY project, modality, provider, model ORDER BY first_ms) - 1 AS place,
           count(*) OVER (PARTITION BY project, modality, provider, model) AS n
    FROM keyed
), placed AS (
    SELECT *, 0.5 * (n - 1) AS middle, 0.95 * (n - 1) AS late FROM ranked
)
SELECT project, provider, model, modality, n,
       max(CASE WHEN place = CAST(middle AS INTEGER) THEN first_ms END),
       max(CASE WHEN place = min(CAST(middle AS INTEGER) + 1, n - 1) THEN first_ms END), max(middle),
       max(CASE WHEN place = CAST(late AS INTEGER) THEN first_ms END),
       max(CASE WHEN place = min(CAST(late AS INTEGER) + 1, n - 1) THEN first_ms END), max(late)
FROM placed GROUP BY project, modality, provider, model
"""


def roll_up(connection: apsw.Connection, first_id: str) -> list[ObservationRow]:
    """Summarise the successful exchanges with ids from ``first_id`` on.

    To the newest there is: after the clock was ahead for a while, ids of now are of then.
    """
    return [
        ObservationRow(
            project=str(project), provider=str(provider), model=str(model), modality=Modality(str(modality)),
            p50_ms=_between(*middle), p95_ms=_between(*late), sample_count=int(count),
        )
        for project, provider, model, modality, count, *rest in connection.execute(
            _ROLL_UP, {"first_id": first_id}
        )
        for middle, late in ((rest[:3], rest[3:]),)
    ]  # fmt: skip


def _between(below_ms: float, above_ms: float, place: float) -> float:
    return below_ms + (above_ms - below_ms) * (place - int(place))


class StoredObservation(Struct, frozen=True):
    """One row of the last roll-up; ``model`` is None where a provider's models are pooled."""

    project: str
    modality: Modality
    provider: str
    model: str | None
    observed: Observed

    @property
    def key(self) -> Key:
        """How the router looks it up."""
        return (self.modality, self.provider, self.model or POOLED)


def observations(connection: apsw.Connection, project: str | None = None) -> list[StoredObservation]:
    """Return the last roll-up, in a stable order."""
    where, values = ("project_id = ? AND ", (project,)) if project is not None else ("", ())
    query = (
        "SELECT project_id, modality, provider, model, p50_ms, p95_ms, sample_count FROM latency_observations "  # noqa: S608
        f"WHERE {where}p50_ms IS NOT NULL AND p95_ms IS NOT NULL ORDER BY project_id, modality, provider, model"
    )
    return [
        StoredObservation(
            str(owner), Modality(str(modality)), str(provider), str(model) or None,
            Observed(float(p50_ms), float(p95_ms), int(count)),
        )
        for owner, modality, provider, model, p50_ms, p95_ms, count in connection.execute(query, values)
    ]  # fmt: skip


class Sample(Struct, frozen=True):
    """One observation; ``at_ns`` is wall clock."""

    project: str
    modality: Modality
    provider: str
    model: str | None
    first_ms: float
    at_ns: int


def newest_samples(connection: apsw.Connection, first_id: str, projects: Iterable[str]) -> list[Sample]:
    """Return the newest observations of each provider and model of some projects since ``first_id``, oldest first."""
    return [sample for project in projects for sample in _newest_of(connection, first_id, project)]


def _newest_of(connection: apsw.Connection, first_id: str, project: str) -> list[Sample]:
    query = (
        "SELECT project, modality, provider, model, first_ms, coalesce(ended_ns, started_ns) FROM ("
        "SELECT *, row_number() OVER (PARTITION BY project, modality, provider, model ORDER BY id DESC) AS place "
        "FROM exchange WHERE project = ? AND id >= ? AND status = 'ok' AND first_ms IS NOT NULL "
        "AND modality IN ('stt', 'llm', 'tts')) WHERE place <= ? ORDER BY id"
    )
    return [
        Sample(
            str(owner), Modality(str(modality)), str(provider), None if model is None else str(model),
            float(first_ms), int(at_ns),
        )
        for owner, modality, provider, model, first_ms, at_ns in connection.execute(
            query, (project, first_id, KEPT_SAMPLES)
        )
    ]  # fmt: skip


def windows_of(samples: list[Sample]) -> dict[str, Window]:
    """Return each project's window, filled."""
    windows: dict[str, Window] = {}
    for one in samples:
        window = windows.setdefault(one.project, Window())
        window.note(one.modality, one.provider, one.model, one.first_ms, one.at_ns)
    return windows


def observed_of(found: list[StoredObservation], project: str) -> dict[Key, Observed]:
    """Return what the router needs of one project."""
    return {row.key: row.observed for row in found if row.project == project}

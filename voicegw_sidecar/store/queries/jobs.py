"""Which of the providers' own job ids have been counted."""

from __future__ import annotations

import apsw


def counted_jobs(connection: apsw.Connection, limit: int) -> list[tuple[str, str]]:
    """Return provider and id of the jobs counted last, oldest first."""
    rows = connection.execute("SELECT provider, job_id FROM counted_job ORDER BY exchange_id DESC LIMIT ?", (limit,))
    return [(str(provider), str(job_id)) for provider, job_id in rows][::-1]

"""What ``doctor`` finds out: one check, how it ended, and what to do about it."""

from __future__ import annotations

import enum

from msgspec import Struct


class Verdict(enum.StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    """Calls go on, but somebody should look."""
    FAIL = "fail"
    """A sidecar does not start, or calls fail."""


class Check(Struct, frozen=True):
    """One check; ``fix`` is there where it did not end well."""

    name: str
    verdict: Verdict
    detail: str
    fix: str | None = None


def ok(name: str, detail: str) -> Check:
    """Return a check that ended well."""
    return Check(name, Verdict.OK, detail)


def warn(name: str, detail: str, fix: str) -> Check:
    """Return one that calls for a look."""
    return Check(name, Verdict.WARN, detail, fix)


def fail(name: str, detail: str, fix: str) -> Check:
    """Return one that failed."""
    return Check(name, Verdict.FAIL, detail, fix)

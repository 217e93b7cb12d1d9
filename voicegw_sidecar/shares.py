"""Share links: each shows one project, read-only, until it expires or is revoked.

A link is a signed token that names its row; without the row, or once that is revoked, the signature is worth nothing.
The token itself is kept nowhere.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import jwt
from jwt.warnings import InsecureKeyLengthWarning
from msgspec.structs import replace

from voicegw_sidecar.clock import Clock
from voicegw_sidecar.errors import BadRequest, NotFound
from voicegw_sidecar.ids import IdSource
from voicegw_sidecar.store.operator_records import ShareRow
from voicegw_sidecar.terms import NS_PER_S

DAYS_DEFAULT, DAYS_MOST = 30, 3650
LABEL_CHARS = 120
LIMIT_SHARES = 10_000
"""Links there may be at once, those that are over included; docs/branding.md says what happens at it."""
LONGEST_TOKEN = 600
_AUDIENCE = "voicegw-share"
_DAY_NS = 86_400 * NS_PER_S


class Shares:
    """All links; on the event loop only. Who changes them also writes their rows."""

    def __init__(self, signing_key: bytes, clock: Clock, known: Iterable[ShareRow]) -> None:
        self._signing_key = signing_key
        self._clock = clock
        self._ids = IdSource()
        self._known: dict[str, ShareRow] = {}
        self._of_project: dict[str, list[str]] = {}
        for row in sorted(known, key=lambda row: row.id):
            self.add(row)

    def draft(self, project: str, days: int, label: str, created_by: str) -> ShareRow:
        """Return a new link's row, which is not a link before `add`."""
        if not 1 <= days <= DAYS_MOST:
            raise BadRequest(f"days: found {days}, expected a whole number from 1 to {DAYS_MOST}")
        if len(label) > LABEL_CHARS or not label.isprintable():
            raise BadRequest(f"label: expected at most {LABEL_CHARS} characters on one line")
        if len(self._known) >= LIMIT_SHARES:
            raise BadRequest(f"there are {LIMIT_SHARES} share links, which is the limit; none can be added")
        now_ns = self._clock.wall_ns()
        return ShareRow(self._ids.next(now_ns), project, label, now_ns, now_ns + days * _DAY_NS, created_by)

    def add(self, row: ShareRow) -> None:
        """Let a link be one."""
        self._known[row.id] = row
        self._of_project.setdefault(row.project, []).append(row.id)

    def token(self, row: ShareRow) -> str:
        """Return what a link's address ends with."""
        claims = {"jti": row.id, "sub": row.project, "aud": _AUDIENCE, "exp": row.expires_ns // NS_PER_S}
        return jwt.encode(claims, self._signing_key, "HS256")

    def find(self, token: str) -> ShareRow | None:
        """Return the link that a token is for, while it is valid."""
        if len(token) > LONGEST_TOKEN:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", InsecureKeyLengthWarning)
                claims = jwt.decode(
                    token, self._signing_key, ["HS256"], audience=_AUDIENCE,
                    options={"require": ["jti", "sub", "exp"], "verify_exp": False},  # by the clock that is injected
                )  # fmt: skip
        except (jwt.PyJWTError, ValueError, UnicodeError):
            return None
        row = self._known.get(claims["jti"]) if isinstance(claims["jti"], str) else None
        return row if row is not None and row.project == claims["sub"] and self.is_valid(row) else None

    def is_valid(self, row: ShareRow) -> bool:
        """Say whether a link can be used."""
        return row.revoked_ns is None and row.expires_ns > self._clock.wall_ns()

    def one(self, id_: str) -> ShareRow:
        """Return a link by its id; raises `NotFound`."""
        row = self._known.get(id_)
        if row is None:
            raise NotFound(f"no share link {id_[:64]!r} is here")
        return row

    def of(self, project: str | None) -> list[ShareRow]:
        """Return the links of one project or all, newest first."""
        if project is None:
            return list(reversed(self._known.values()))
        return [self._known[id_] for id_ in reversed(self._of_project.get(project, []))]

    def revoke(self, row: ShareRow) -> ShareRow:
        """End a link and return its row as it is now; a second time the same."""
        if row.revoked_ns is None:
            row = self._known[row.id] = replace(row, revoked_ns=self._clock.wall_ns())
        return row

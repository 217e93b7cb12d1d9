"""Query parameters, checked: an unknown name or value is a 400, never a silent default."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from aiohttp import web

from voicegw_sidecar.errors import BadRequest, UnknownProject
from voicegw_sidecar.ids import is_exchange_id
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.terms import NS_PER_S

LIMIT_DEFAULT, LIMIT_MOST = 100, 1000
_TEXT_MOST = 128


class Parameters:
    """The query of one request; made with the names it may have."""

    def __init__(self, request: web.Request, *names: str) -> None:
        self._query: Mapping[str, str] = request.query
        for name in self._query:
            if name not in names:
                close = difflib.get_close_matches(name[:40], names, 1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise BadRequest(f"{name[:40]}: unknown parameter, expected {_listed(names)}{hint}")
            if len(request.query.getall(name)) > 1:
                raise BadRequest(f"{name}: given more than once, expected once")

    def without_blanks(self) -> Parameters:
        """Return the parameters as a form on a page means them: a field that was left empty is not there."""
        bare = object.__new__(Parameters)
        bare._query = {name: value for name, value in self._query.items() if value}
        return bare

    def choice(self, name: str, allowed: Collection[str]) -> str | None:
        """Return one of ``allowed``, or None where the parameter is absent."""
        value = self._query.get(name)
        if value is not None and value not in allowed:
            raise BadRequest(f"{name}: found {value[:40]!r}, expected {_listed(allowed)}")
        return value

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number within bounds."""
        value = self._query.get(name)
        if value is None:
            return default
        if not (value.isascii() and value.isdigit() and len(value) < 10 and least <= int(value) <= most):
            raise BadRequest(f"{name}: found {value[:40]!r}, expected a whole number from {least} to {most}")
        return int(value)

    def limit(self) -> int:
        """Return how many rows are asked for."""
        return self.whole("limit", LIMIT_DEFAULT, 1, LIMIT_MOST)

    def text(self, name: str) -> str | None:
        """Return a text of reasonable length."""
        value = self._query.get(name)
        if value is not None and not 0 < len(value) <= _TEXT_MOST:
            raise BadRequest(f"{name}: found {len(value)} characters, expected 1 to {_TEXT_MOST}")
        return value

    def cursor(self, name: str) -> str | None:
        """Return where a list goes on: what ``next`` of the page before was."""
        value = self._query.get(name)
        if value is not None and not is_exchange_id(value):
            raise BadRequest(f"{name}: found {value[:40]!r}, expected what next was in the page before")
        return value

    def exchange_id(self, name: str) -> str | None:
        """Return the id of an exchange."""
        value = self._query.get(name)
        if value is not None and not is_exchange_id(value):
            raise BadRequest(f"{name}: found {value[:40]!r}, expected the id of an exchange")
        return value

    def moment_ns(self, name: str) -> int | None:
        """Return an ISO 8601 date or time as nanoseconds since 1970; without a zone it is UTC."""
        value = self._query.get(name)
        if value is None:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise BadRequest(f"{name}: found {value[:40]!r}, expected a time such as 2026-11-21T10:00:00Z") from None
        if not 1970 <= moment.year <= 2200:
            raise BadRequest(f"{name}: found the year {moment.year}, expected one from 1970 to 2200")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1_000_000) * (NS_PER_S // 1_000_000)

    def project(self, runtime: Runtime) -> str | None:
        """Return a project that exists, or None where none is named."""
        value = self._query.get("project")
        if value is not None and value not in runtime.catalog.projects:
            raise UnknownProject(f"project: found {value[:64]!r}, expected a configured project")
        return value


def _listed(words: Collection[str]) -> str:
    return " or ".join(words) if words else "no parameters"

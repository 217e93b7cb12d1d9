"""Query parameters, checked: an unknown name or value is a 400, never a silent default.

What a value may be is a kind: it reads the value and says the same as JSON schema, so that what is described is what is
checked.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

from aiohttp import web
from msgspec import Struct
from multidict import MultiDict

from voicegw_sidecar.errors import BadRequest, UnknownProject
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.terms import NS_PER_S

LIMIT_DEFAULT, LIMIT_MOST = 100, 1000
_TEXT_MOST = 128

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
D = TypeVar("D")


class Kind(Protocol[T_co]):
    """What a parameter's value may be."""

    def read(self, name: str, value: str) -> T_co:
        """Return the value, or raise `BadRequest` that names the parameter."""

    def schema(self) -> dict[str, Any]:
        """Return the same as JSON schema."""


class Choice(Struct, frozen=True):
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, name: str, value: str) -> str:
        """Return the word."""
        if value not in self.words:
            raise BadRequest(f"{name}: found {value[:40]!r}, expected {_listed(self.words)}")
        return value

    def schema(self) -> dict[str, Any]:
        """Return the words."""
        return {"type": "string", "enum": list(self.words)}


class YesNo(Struct, frozen=True):
    """The words true and false."""

    def read(self, name: str, value: str) -> bool:
        """Return the truth value."""
        return Choice(("true", "false")).read(name, value) == "true"

    def schema(self) -> dict[str, Any]:
        """Return the JSON type."""
        return {"type": "boolean"}


class Whole(Struct, frozen=True):
    """A whole number within bounds."""

    least: int
    most: int

    def read(self, name: str, value: str) -> int:
        """Return the number; only digits are one."""
        if not (value.isascii() and value.isdigit() and len(value) < 10 and self.least <= int(value) <= self.most):
            raise BadRequest(f"{name}: found {value[:40]!r}, expected a whole number from {self.least} to {self.most}")
        return int(value)

    def schema(self) -> dict[str, Any]:
        """Return the bounds."""
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


class Text(Struct, frozen=True):
    """A text of reasonable length."""

    def read(self, name: str, value: str) -> str:
        """Return the text."""
        if not 0 < len(value) <= _TEXT_MOST:
            raise BadRequest(f"{name}: found {len(value)} characters, expected 1 to {_TEXT_MOST}")
        return value

    def schema(self) -> dict[str, Any]:
        """Return the bounds."""
        return {"type": "string", "minLength": 1, "maxLength": _TEXT_MOST}


class ProjectName(Struct, frozen=True):
    """The id of a project: `Parameters.project` says whether there is one, and an empty one is none that exists."""

    def read(self, name: str, value: str) -> str:
        """Return it as it came."""
        return value

    def schema(self) -> dict[str, Any]:
        """Return the JSON type."""
        return {"type": "string"}


class MadeId(Struct, frozen=True):
    """An id that was made here (`ids`), in the spelling that it is told in: lists are compared by it."""

    what: str

    def read(self, name: str, value: str) -> str:
        """Return the id."""
        if not _MADE_ID.fullmatch(value):
            raise BadRequest(f"{name}: found {value[:40]!r}, expected {self.what}")
        return value

    def schema(self) -> dict[str, Any]:
        """Return the spelling."""
        return {"type": "string", "pattern": f"^{_MADE_ID.pattern}$"}


_MADE_ID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Moment(Struct, frozen=True):
    """An ISO 8601 date or time of a century that machines of ours run in; without a zone it is UTC."""

    def read(self, name: str, value: str) -> int:
        """Return nanoseconds since 1970."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise BadRequest(f"{name}: found {value[:40]!r}, expected a time such as 2026-11-21T10:00:00Z") from None
        if not 1970 <= moment.year <= 2200:
            raise BadRequest(f"{name}: found the year {moment.year}, expected one from 1970 to 2200")
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1_000_000) * (NS_PER_S // 1_000_000)

    def schema(self) -> dict[str, Any]:
        """Return the nearest that JSON schema has a word for."""
        return {"type": "string", "format": "date-time", "pattern": "^(19[7-9][0-9]|2[01][0-9]{2}|2200)-"}


class Query(Struct, Generic[T, D], frozen=True):
    """One parameter of a route: ``default`` is what it is where it is left out."""

    name: str
    kind: Kind[T]
    default: D
    about: str


PROJECT = Query("project", ProjectName(), None, "Only what is of this project.")
LIMIT = Query("limit", Whole(1, LIMIT_MOST), LIMIT_DEFAULT, "How many entries there are at most.")
BEFORE = Query(
    "before",
    MadeId("what next was in the page before"),
    None,
    "Go on here: what `next` of the page before is.",
)


class Parameters:
    """The query of one request; made with the names it may have."""

    def __init__(self, request: web.Request | None, *names: str) -> None:
        query = MultiDict[str]() if request is None else request.query
        self._query: Mapping[str, str] = query
        self._names = names
        for name in query:
            if name not in names:
                close = difflib.get_close_matches(name[:40], names, 1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise BadRequest(f"{name[:40]}: unknown parameter, expected {_listed(names)}{hint}")
            if len(query.getall(name)) > 1:
                raise BadRequest(f"{name}: given more than once, expected once")

    def without_blanks(self) -> Parameters:
        """Return the parameters as a form on a page means them: a field that was left empty is not there."""
        bare = object.__new__(Parameters)
        bare._query = {name: value for name, value in self._query.items() if value}
        bare._names = self._names
        return bare

    def read(self, wanted: Query[T, D]) -> T | D:
        """Return a parameter's value, or its default; one that the request may not have cannot be read."""
        if wanted.name not in self._names:
            raise LookupError(f"{wanted.name} is no parameter of this route")
        value = self._query.get(wanted.name)
        return wanted.default if value is None else wanted.kind.read(wanted.name, value)

    def choice(self, name: str, allowed: Collection[str]) -> str | None:
        """Return one of ``allowed``, or None where the parameter is absent."""
        return self.read(Query(name, Choice(tuple(allowed)), None, ""))

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number within bounds."""
        return self.read(Query(name, Whole(least, most), default, ""))

    def text(self, name: str) -> str | None:
        """Return a text of reasonable length."""
        return self.read(Query(name, Text(), None, ""))

    def project(self, runtime: Runtime) -> str | None:
        """Return a project that exists, or None where none is named."""
        value = self.read(PROJECT)
        if value is not None and value not in runtime.catalog.projects:
            raise UnknownProject(f"project: found {value[:64]!r}, expected a configured project")
        return value


NO_PARAMETERS = Parameters(None)
"""Of a route that ignores its query, whatever it says."""


def _listed(words: Collection[str]) -> str:
    return " or ".join(words) if words else "no parameters"

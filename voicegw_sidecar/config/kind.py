"""Leaf kinds: what one scalar of ``voicegw.yaml`` may be, and how a wrong one is described.

A kind turns one found value into the field's value or raises :class:`Mismatch`. It knows nothing of
files or other keys. A key, and any text taken from the environment, is never repeated in a message.
"""

from __future__ import annotations

import datetime
import difflib
import enum
import json
import re
import zoneinfo
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from voicegw_sidecar.terms import NANO_PER_USD, Secret

DAY_S = 86_400
SHOWN_CHARS = 40
"""Longest part of a found text that a message repeats."""
LARGEST = 10**18
"""No number of the file is larger: as nano-dollars it still fits a 64-bit column."""

_DECIMAL = re.compile(r"[+-]?[0-9]{1,18}(\.[0-9]{1,18})?")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_/-]{1,80}")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Mismatch(ValueError):
    """A value is not what its field expects; the message is the reason, without the path."""


class EnvText(str):
    """Text that holds values from the environment, and so may be a credential: messages do not repeat it."""

    names: tuple[str, ...]
    is_whole: bool
    """The text was one substitution and nothing else, so it may stand for a number or a yes/no value."""

    def __new__(cls, text: str, names: tuple[str, ...], is_whole: bool) -> EnvText:
        self = super().__new__(cls, text)
        self.names = names
        self.is_whole = is_whole
        return self


class Kind(Protocol):
    """How one leaf is read."""

    def read(self, found: object) -> object:
        """Return the field's value, or raise :class:`Mismatch`."""


def got(found: object) -> str:
    """Describe a found value in a few words, on one line."""
    match found:
        case None:
            return "nothing"
        case EnvText():
            return "the value of " + " and ".join(f"${{{name}}}" for name in found.names)
        case str():
            shown = found if len(found) <= SHOWN_CHARS else found[:SHOWN_CHARS] + "…"
            return json.dumps(shown, ensure_ascii=not shown.isprintable())
        case bool():
            return "true" if found else "false"
        case int():
            # Python refuses to print very long integers.
            return str(found) if abs(found) <= LARGEST else "a very large number"
        case float():
            return repr(found)
        case _:
            return sort(found)


def sort(found: object) -> str:
    """Name the sort of a value without showing it: the words used for keys."""
    match found:
        case None:
            return "nothing"
        case str():
            return "text"
        case bool():
            return "a yes/no value"
        case int() | float():
            return "a number"
        case list() | tuple():
            return "a list"
        case dict():
            return "a mapping"
        case datetime.date():
            return "a date"
        case _:
            return "a value of another kind"


def joined(path: str, key: str) -> str:
    """Return the dotted path of a key; one that holds a dot or a blank is put in brackets and quotes."""
    if _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(key[:80])}]"


def expected(what: str, found: object) -> Mismatch:
    """Build the usual mismatch: what is expected, what was found."""
    return Mismatch(f"expected {what}, got {got(found)}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean X?`` for the nearest known word, or an empty string."""
    near = difflib.get_close_matches(word[:SHOWN_CHARS], list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def number(found: object) -> Decimal | None:
    """Return a finite number exactly as written, or None; a yes/no value is no number, nor is quoted text."""
    match found:
        case bool():
            return None
        case int():
            return Decimal(found) if abs(found) <= LARGEST else None
        case float():
            # Through str, so that 0.1 stays 0.1; it also turns away nan and inf.
            value = Decimal(str(found))
            return value if value.is_finite() and abs(value) <= LARGEST else None
        case EnvText() if found.is_whole and _DECIMAL.fullmatch(found):
            return Decimal(found)
    return None


class Whole:
    """A whole number within limits; ``what`` names it with its unit."""

    def __init__(self, what: str, low: int, high: int) -> None:
        self.what, self.low, self.high = what, low, high

    def read(self, found: object) -> int:
        """Return the number; 1.0 and quoted digits are refused."""
        value = None if isinstance(found, float) else number(found)
        in_text = isinstance(found, str) and "." in found
        if (value is None or in_text) and not (isinstance(found, int) and abs(found) > LARGEST):
            raise expected(self.what, found)
        if value is None or not self.low <= value <= self.high:
            raise expected(f"{self.what} from {self.low} to {self.high}", found)
        return int(value)


class Number:
    """A number of something within limits, kept exact; ``above`` leaves the lower limit itself out."""

    def __init__(self, what: str, low: int, high: int, *, above: bool = False) -> None:
        self.what, self.low, self.high, self.above = what, low, high, above

    def read(self, found: object) -> Decimal:
        """Return the number exactly as written."""
        value = number(found)
        if value is None and (isinstance(found, bool) or not isinstance(found, float | int)):
            raise expected(self.what, found)
        if value is None or value > self.high or value < self.low or (self.above and value == self.low):
            limits = f"above {self.low}, at most {self.high}" if self.above else f"from {self.low} to {self.high}"
            raise expected(f"{self.what} {limits}", found)
        return value


class Seconds:
    """A duration in seconds, from 0 to a day; ``above_zero`` leaves 0 itself out."""

    def __init__(self, *, above_zero: bool) -> None:
        self.number = Number("a number of seconds", 0, DAY_S, above=above_zero)

    def read(self, found: object) -> float:
        """Return the seconds as a float; nothing is billed by them."""
        return float(self.number.read(found))


class Budget:
    """US dollars, kept as whole nano-dollars; 0 and nothing mean no limit."""

    number = Number("a number of US dollars", 0, 1_000_000_000)

    def read(self, found: object) -> int | None:
        """Return nano-dollars, or None for unlimited; finer than a nano-dollar is refused, not rounded."""
        nanousd = self.number.read(found) * NANO_PER_USD
        if nanousd != nanousd.to_integral_value():
            raise expected("US dollars with at most 9 decimals", found)
        return int(nanousd) or None


class YesNo:
    """true or false."""

    def read(self, found: object) -> bool:
        """Return the truth value; from the environment the words true and false are taken."""
        if isinstance(found, bool):
            return found
        if isinstance(found, EnvText) and found.is_whole and found.lower() in ("true", "false"):
            return found.lower() == "true"
        raise expected("true or false", found)


def words(what: str, found: object) -> str:
    """Return plain text, or raise; a surrogate could be neither stored nor sent."""
    if not isinstance(found, str):
        hint = " (put it in quotes)" if isinstance(found, bool | int | float) else ""
        raise Mismatch(f"expected {what}, got {got(found)}{hint}")
    if any("\ud800" <= char <= "\udfff" for char in found):
        raise Mismatch(f"expected {what}, got text with half a surrogate pair")
    return found


class Text:
    """Text for people, of a limited length."""

    def __init__(self, shortest: int, longest: int, *, multiline: bool = False) -> None:
        self.shortest, self.longest, self.multiline = shortest, longest, multiline

    def read(self, found: object) -> str:
        """Return the text; control characters are refused, line breaks only where they make no sense."""
        text = words("text", found)
        if not self.shortest <= len(text.strip()) or len(text) > self.longest:
            raise Mismatch(f"expected {self.shortest} to {self.longest} characters, got {len(text)}")
        seen = text.replace("\n", "").replace("\t", "") if self.multiline else text
        if any(ord(char) < 32 or 127 <= ord(char) < 160 for char in seen):
            what = "text" if self.multiline else "text on one line"
            raise Mismatch(f"expected {what} without control characters")
        return str(text)


class Pattern:
    """Text of a fixed shape, such as a colour."""

    def __init__(self, what: str, pattern: str) -> None:
        self.what, self.pattern = what, re.compile(pattern)

    def read(self, found: object) -> str:
        """Return the text as written."""
        text = words(self.what, found)
        if not self.pattern.fullmatch(text):
            raise expected(self.what, found)
        return str(text)


class OneOf:
    """One word of a closed set."""

    def __init__(self, choices: type[enum.StrEnum]) -> None:
        self.choices = choices

    def read(self, found: object) -> enum.StrEnum:
        """Return the member; a near miss gets a suggestion."""
        known = [member.value for member in self.choices]
        if isinstance(found, str) and found in known:
            return self.choices(str(found))
        plain = isinstance(found, str) and not isinstance(found, EnvText)
        hint = did_you_mean(str(found).lower(), known) if plain else ""
        what = known[0] if len(known) == 1 else ", ".join(known[:-1]) + f" or {known[-1]}"
        raise Mismatch(f"expected {what}, got {got(found)}{hint}")


class Key:
    """A credential; no message shows it."""

    def read(self, found: object) -> Secret:
        """Return the credential; what could not travel in a header is refused. May be empty."""
        if not isinstance(found, str):
            raise Mismatch(f"expected a key in quotes, got {sort(found)}")
        if not all("!" <= char <= "~" for char in found):
            raise Mismatch("expected a key without spaces, line breaks or non-ASCII characters")
        return Secret(str(found))


class AgentKey(Key):
    """A credential that must be there: dropping an empty one would open the project to everybody."""

    def read(self, found: object) -> Secret:
        """Return the credential."""
        key = super().read(found)
        if not key:
            raise Mismatch("expected a key, got an empty text; remove the entry or set its variable")
        return key


class EnvName:
    """The name of an environment variable."""

    def read(self, found: object) -> str:
        """Return the name; what looks like anything else is not shown, for it may be the key itself."""
        if not isinstance(found, str) or not ENV_NAME.fullmatch(found) or isinstance(found, EnvText):
            raise Mismatch(f"expected the name of an environment variable, got {sort(found)} that is none")
        return found


class FilePath:
    """A path; ``~/`` is expanded by whoever knows the home folder."""

    def read(self, found: object) -> Path:
        """Return the path as written."""
        text = words("a file path", found)
        if not text or "\0" in text or (text.startswith("~") and text != "~" and not text.startswith("~/")):
            raise expected("a file path (of ~ forms only ~/…)", found)
        return Path(str(text))


class Zone:
    """A time zone of the IANA database."""

    def read(self, found: object) -> str:
        """Return the zone's name."""
        name = words("a time zone such as Europe/Berlin", found)
        try:
            zoneinfo.ZoneInfo(name)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            # OSError: a folder of the database such as "America", or a name no file system takes.
            plain = not isinstance(found, EnvText)
            hint = did_you_mean(name, zoneinfo.available_timezones()) if plain else ""
            raise Mismatch(f"expected a time zone such as Europe/Berlin, got {got(found)}{hint}") from None
        return str(name)


class Maybe:
    """Another kind, or nothing: null and an empty text both mean not set."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.takes_text = not isinstance(kind, Whole | Number | Seconds | Budget)

    def read(self, found: object) -> object:
        """Return None where nothing is set; a quoted empty text is no number, one from the environment is."""
        if found is None:
            return None
        if isinstance(found, str) and not found and (self.takes_text or isinstance(found, EnvText)):
            return None
        return self.kind.read(found)

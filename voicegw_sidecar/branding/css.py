"""Styles of a drawn logo: read by a small grammar, and written from what it understood.

Takes declarations of known properties, and rules with plain selectors. What could load, run or hide something is
refused; what is only unknown is left out, as a browser leaves out what it does not know.
Every pattern is matched at a fixed place and never gives back what it took: reading takes as long as the text is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from voicegw_sidecar.branding.grammar import FONTS, PROPERTIES, REFERRING
from voicegw_sidecar.branding.refusal import AS_PNG, BadLogo

ID = r"[A-Za-z_][\w.:-]{0,63}"
_BLANK = re.compile(r"[ \t\r\n]+")
_PLAIN = re.compile(r"[0-9A-Za-z+\-.,%_ \t\r\n]*")
"""Numbers, lengths, path data and keywords: nothing of it has a meaning beyond the drawing."""
_COLOUR_OR_TRANSFORM = (
    "rgba?|hsla?|hwb|lab|lch|oklab|oklch|color|matrix|translate[XY]?|scale[XY]?|rotate|skew[XY]|skew"  # by name
)
_TOKEN = re.compile(
    rf"""
    (?P<url>url\([ ]*+(?P<quote>['"]?)\#(?P<id>{ID})(?P=quote)[ ]*+\))
    | (?P<string>'[^'"\\<>&(){{}};:@/]*+' | "[^'"\\<>&(){{}};:@/]*+")
    | (?:{_COLOUR_OR_TRANSFORM})\([0-9A-Za-z+\-.,%/ ]*+\)
    | \#[0-9A-Fa-f]{{3,8}}(?![\w-])
    | [0-9A-Za-z+\-.%_]++
    | [ ,/]++
    """,
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
_LOCAL = re.compile(rf"url\((['\"]?)#{ID}\1\)", re.ASCII)
_SELECTOR = re.compile(r"(?:\*|[A-Za-z][\w-]*+)?(?:[.#]-?[A-Za-z_][\w-]*+)*", re.ASCII)
_NAME_IN_SELECTOR = re.compile(r"[.#][\w-]+", re.ASCII)
_BINDING = re.compile(r"(?<![\w-])behavior:|-moz-binding")
_LOADS_OR_RUNS = ("javascript:", "vbscript:", "data:", "expression(")

Declaration = tuple[str, str]


class Rule(Struct, frozen=True):
    """Some selectors and what they declare."""

    selectors: tuple[str, ...]
    declarations: tuple[Declaration, ...]

    def text(self) -> str:
        """Return the rule as it is stored."""
        return f"{','.join(self.selectors)}{{{declared(self.declarations)}}}"

    def found_by(self) -> Iterator[str]:
        """Yield for each selector what an element must have for it to apply: ``#id``, ``.class``, its name or ``*``."""
        for selector in self.selectors:
            last = selector.rpartition(" ")[2]
            names = sorted(_NAME_IN_SELECTOR.findall(last))  # "#" sorts before "."
            yield names[0] if names else last


def refuse_dangerous(value: str, where: str) -> None:
    """Raise `BadLogo` where a value could load or run something, however it is spaced and written."""
    squeezed = "".join(value.split()).lower()
    if "\\" in squeezed:
        raise _dangerous("a backslash", where)
    for word in _LOADS_OR_RUNS:
        if word in squeezed:
            raise _dangerous(word, where)
    if _BINDING.search(squeezed):
        raise _dangerous("a script binding", where)
    if squeezed.count("url(") != sum(1 for _ in _LOCAL.finditer(squeezed)):
        raise _dangerous("a url() that is not url(#id)", where)


def clean_value(name: str, value: str) -> str | None:
    """Return the value of a property or attribute in its stored form, or None if the grammar does not know it."""
    value = _BLANK.sub(" ", value).strip(" ")
    if not value:
        return None
    if _PLAIN.fullmatch(value):
        return value
    pieces: list[str] = []
    at = 0
    while at < len(value):
        token = _TOKEN.match(value, at)
        if token is None or (token["url"] and name not in REFERRING) or (token["string"] and name not in FONTS):
            return None
        if token["url"]:
            pieces.append(f"url(#{token['id']})")
        elif token["string"]:
            pieces.append(f"'{token['string'][1:-1]}'")
        else:
            pieces.append(token[0])
        at = token.end()
    return "".join(pieces)


def declarations(text: str) -> tuple[Declaration, ...]:
    """Read what stands in a ``style`` attribute or between the braces of a rule; danger was refused before."""
    found = []
    for part in text.split(";"):
        name, _, value = part.partition(":")
        name = name.strip().lower()
        if name not in PROPERTIES:
            continue
        value, bang, importance = value.partition("!")
        cleaned = clean_value(name, value)
        if cleaned is not None and (not bang or importance.strip().lower() == "important"):
            found.append((name, cleaned + ("!important" if bang else "")))
    return tuple(found)


def declared(found: tuple[Declaration, ...]) -> str:
    """Return declarations as they are stored."""
    return ";".join(f"{name}:{value}" for name, value in found)


def style_attribute(text: str) -> tuple[Declaration, ...]:
    """Read a ``style`` attribute."""
    return declarations(_checked(text))


def rules(text: str) -> list[Rule]:
    """Read a style sheet; rules that declare nothing known are left out."""
    *blocks, rest = _checked(text).split("}")
    if rest.strip():
        raise _unreadable()
    found = []
    for block in blocks:
        before, brace, body = block.partition("{")
        if not brace or "{" in body:
            raise _unreadable()
        kept = declarations(body)
        selectors = tuple(_selector(part) for part in before.split(","))
        if kept:
            found.append(Rule(selectors, kept))
    return found


def _selector(text: str) -> str:
    parts = text.split()
    if not parts or not all(_SELECTOR.fullmatch(part) for part in parts):
        raise BadLogo(
            "a selector in a <style> that is neither an element, a .class nor an #id",
            "such selectors alone",
            "export with presentation attributes instead of a style sheet",
        )
    return " ".join(parts)


def _checked(text: str) -> str:
    """Return the text without comments, or raise `BadLogo` for what no style of a logo needs."""
    text = _without_comments(text)
    for sign, name in (("@", "an @ rule"), ("<", "a < sign")):
        if sign in text:
            raise _dangerous(name, "a style")
    refuse_dangerous(text, "a style")
    return text


def _without_comments(text: str) -> str:
    pieces, at = [], 0
    while (start := text.find("/*", at)) >= 0:
        pieces.append(text[at:start])
        end = text.find("*/", start + 2)
        if end < 0:
            raise _unreadable()
        at = end + 2
    return " ".join([*pieces, text[at:]])


def _dangerous(found: str, where: str) -> BadLogo:
    return BadLogo(f"{found} in {where}", "nothing that loads or runs anything", AS_PNG)


def _unreadable() -> BadLogo:
    return BadLogo(
        "a style sheet that cannot be read", "plain rules", "export with presentation attributes instead of it"
    )

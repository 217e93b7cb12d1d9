"""Attributes of a drawn logo: which are kept and in which form, which are left out, and which refuse the file."""

from __future__ import annotations

import math
import re

from msgspec import Struct

from voicegw_sidecar.branding import css
from voicegw_sidecar.branding.css import Declaration
from voicegw_sidecar.branding.grammar import ATTRIBUTES, PROPERTIES, WITH_HREF, XLINK, XML
from voicegw_sidecar.branding.refusal import AS_PNG, BadLogo, shown

ATTRIBUTES_LIMIT = 100
LENGTH_LIMIT_PX = 10_000
_ID = re.compile(css.ID, re.ASCII)
_NUMBER_CHARS = 40
_CLASS = re.compile(r"-?[A-Za-z_][\w-]{0,63}", re.ASCII)
_NUMBER = r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?"
_LENGTH = re.compile(rf"({_NUMBER})(px|mm|cm|in|pt|pc|%|)", re.ASCII)
_PX = {"": 1.0, "px": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 9.6 / 2.54, "pt": 96 / 72, "pc": 16.0}


class Attributes(Struct, frozen=True):
    """What is kept of one element's attributes."""

    written: dict[str, str]
    """In the order and the form in which they are stored."""
    declarations: tuple[Declaration, ...]
    """What they say of properties, by presentation attributes and by ``style``."""


def split_name(name: str) -> tuple[str, str]:
    """Split a parser's ``{namespace}name``; the namespace may be empty."""
    namespace, _, local = name.rpartition("}")
    return namespace[1:], local


def clean_attributes(element: str, found: dict[str, str]) -> Attributes:
    """Keep what the tables know; raises `BadLogo` for whatever could run, load or link."""
    if len(found) > ATTRIBUTES_LIMIT:
        raise BadLogo(f"an element with {len(found)} attributes", f"at most {ATTRIBUTES_LIMIT}", "simplify the drawing")
    written: dict[str, str] = {}
    declarations: tuple[Declaration, ...] = ()
    refuse_running(found)
    for full_name, value in found.items():
        namespace, name = split_name(full_name)
        if name == "href" and namespace in ("", XLINK):
            reference = _reference(value)
            if element in WITH_HREF and (not namespace or "href" not in found):
                written["href"] = reference
        elif namespace == XML:
            if name == "space" and value in ("preserve", "default"):
                written["xml:space"] = value
        elif not namespace and not name.startswith(("data-", "aria-")):
            css.refuse_dangerous(value, f"the attribute {shown(name)}")
            kept = _value(name, value)
            if name == "style":
                styled = css.style_attribute(value)
                declarations += styled
                kept = css.declared(styled)
            elif kept:
                declarations += ((name, kept),)
            if kept:
                written[name] = kept
    return Attributes(written, declarations)


def check_size(root: dict[str, str]) -> None:
    """Raise `BadLogo` unless the root says how large the drawing is, in finite numbers of a sensible size."""
    sized = 0
    for name in ("width", "height"):
        if name in root:
            match = _LENGTH.fullmatch(root[name].strip(" ")) if len(root[name]) <= _NUMBER_CHARS else None
            if match is None:
                raise _bad_size(name)
            number, unit = float(match[1]), match[2]
            if unit != "%":
                sized += 1
            if not 0 < number * _PX.get(unit, 1.0) <= LENGTH_LIMIT_PX:
                raise _bad_size(name)
    if "viewBox" in root:
        _check_view(root["viewBox"])
    elif sized < 2:
        raise BadLogo("an <svg> without a size", "a viewBox, or a width and a height", "export it with a viewBox")


def _check_view(text: str) -> None:
    parts = text.replace(",", " ").split() if len(text) <= 4 * _NUMBER_CHARS else []
    numbers = [float(part) for part in parts if re.fullmatch(_NUMBER, part)]
    is_sane = all(math.isfinite(number) and abs(number) <= LENGTH_LIMIT_PX for number in numbers)
    if len(numbers) != 4 or len(parts) != 4 or not is_sane or numbers[2] <= 0 or numbers[3] <= 0:
        raise _bad_size("viewBox")


def _bad_size(name: str) -> BadLogo:
    return BadLogo(
        f"an <svg> whose {name} is no usable size",
        f"numbers in px, or a width and a height in %, up to {LENGTH_LIMIT_PX}",
        "export it with a plain viewBox",
    )


def refuse_running(found: dict[str, str]) -> None:
    """Raise `BadLogo` for attributes that have no harmless value: also on elements that are left out."""
    for full_name in found:
        namespace, name = split_name(full_name)
        if name.lower().startswith("on"):
            raise BadLogo(f"the attribute {shown(name)}, which runs a script", "a still drawing", AS_PNG)
        if name == "base" and namespace == XML:
            raise BadLogo("the attribute xml:base", "no links out of the file", AS_PNG)


def _reference(value: str) -> str:
    value = value.strip(" \t\r\n")
    if not value.startswith("#") or not _ID.fullmatch(value, 1):
        raise BadLogo("an href that is not #id", "no links out of the file", AS_PNG)
    return value


def _value(name: str, value: str) -> str | None:
    if name == "id":
        return value if _ID.fullmatch(value) else None
    if name == "class":
        return " ".join(part for part in value.split() if _CLASS.fullmatch(part)) or None
    return css.clean_value(name, value) if name in ATTRIBUTES or name in PROPERTIES else None

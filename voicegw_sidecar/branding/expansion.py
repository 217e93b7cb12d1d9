"""How much is drawn where elements of a logo draw others, without drawing it.

``use``, patterns, masks and clip paths draw other elements again each time they are referred to, so a short file can
ask for billions of shapes. What every element draws is summed up from the last to the first, in as many rounds as
references may be deep; sums stop growing above the limit, so the work is bounded however the file is made.
"""

from __future__ import annotations

from collections.abc import Iterable

from voicegw_sidecar.branding.css import Declaration, Rule
from voicegw_sidecar.branding.grammar import DRAWN, PAINTS, REFERRING
from voicegw_sidecar.branding.refusal import AS_PNG, BadLogo

DRAWN_LIMIT = 10_000
DEPTH_LIMIT = 8
"""How many references may follow each other: a mask that uses a shape that is filled with a pattern has three."""
REFERENCES_LIMIT = 20
"""Patterns, masks and clip paths that may apply to one element; a style sheet can name any number of them."""


class References:
    """The elements that properties name: paints, which are inherited, and effects, which are not."""

    __slots__ = ("effects", "paints")

    def __init__(self) -> None:
        self.paints: set[str] = set()
        self.effects: set[str] = set()

    def note(self, declarations: Iterable[Declaration]) -> None:
        """Take what cleaned declarations name."""
        for name, value in declarations:
            if name in REFERRING:
                named = {part.partition(")")[0] for part in value.split("url(#")[1:]}
                (self.paints if name in PAINTS else self.effects).update(named)

    def check(self) -> None:
        """Raise `BadLogo` where there are too many to be looked into."""
        if len(self.paints) + len(self.effects) > REFERENCES_LIMIT:
            raise BadLogo(
                "an element with very many patterns, masks and clip paths",
                f"at most {REFERENCES_LIMIT} of them",
                AS_PNG,
            )


class Node:
    """One kept element; its place is where it stands in the order of the file."""

    __slots__ = ("end", "href", "id", "keys", "name", "parent", "references")

    def __init__(self, name: str, parent: int) -> None:
        self.name = name
        self.parent = parent
        """The place of the element around it; -1 for the root."""
        self.end = 0
        """The place after the last element inside it."""
        self.id: str | None = None
        self.keys = ["*", name]
        """What selectors may find it by."""
        self.href: str | None = None
        self.references = References()


def check_expansion(nodes: list[Node], sheet: list[Rule]) -> None:
    """Raise `BadLogo` where references multiply, go in a circle, or a ``use`` draws another ``use``."""
    places = {node.id: place for place, node in enumerate(nodes) if node.id is not None}
    _check_uses(nodes, places)
    _apply(sheet, nodes)
    _inherit(nodes, {name for name, place in places.items() if nodes[place].name == "pattern"})
    drawn = [0] * len(nodes)
    for _ in range(DEPTH_LIMIT + 2):  # the first round follows no reference, the last one only finds nothing new
        before, drawn = drawn, _round(nodes, {name: drawn[place] for name, place in places.items()})
        if drawn[0] > DRAWN_LIMIT:
            raise BadLogo(
                "references that draw elements over and over", f"at most {DRAWN_LIMIT} drawn elements", AS_PNG
            )
        if drawn == before:
            return
    raise BadLogo("references in a circle or too many in a row", f"at most {DEPTH_LIMIT} in a row", AS_PNG)


def _check_uses(nodes: list[Node], places: dict[str, int]) -> None:
    uses = [0]
    for node in nodes:
        uses.append(uses[-1] + (node.name == "use"))
    for node in nodes:
        if node.name == "use" and node.href in places:
            target = places[node.href]
            if uses[nodes[target].end] > uses[target]:
                raise BadLogo("a <use> of something that has a <use> in it", "a <use> of plain shapes", AS_PNG)


def _apply(sheet: list[Rule], nodes: list[Node]) -> None:
    """Take note of what rules refer to, for every element that a rule may apply to."""
    by_key: dict[str, References] = {}
    for rule in sheet:
        for key in rule.found_by():
            by_key.setdefault(key, References()).note(rule.declarations)
    for node in nodes:
        for key in node.keys:
            if key in by_key:
                node.references.paints |= by_key[key].paints
                node.references.effects |= by_key[key].effects
                node.references.check()


def _inherit(nodes: list[Node], patterns: set[str]) -> None:
    """Hand patterns on to the elements inside: other paints cost nothing, and which one wins is not looked into."""
    for node in nodes:
        node.references.paints &= patterns
        if node.parent >= 0:
            node.references.paints |= nodes[node.parent].references.paints
        node.references.check()


def _round(nodes: list[Node], by_id: dict[str, int]) -> list[int]:
    """Sum up what each element draws, by what the elements it refers to drew in the round before."""
    drawn = [1] * len(nodes)
    for place in range(len(nodes) - 1, -1, -1):
        node = nodes[place]
        painted = sum(by_id[name] for name in node.references.paints)
        total = drawn[place] + sum(by_id.get(name, 0) for name in node.references.effects)
        if node.href is not None:
            target = by_id.get(node.href, 0)
            total += target * (1 + painted) if node.name == "use" else target
        elif node.name in DRAWN:
            total += painted
        drawn[place] = min(total, DRAWN_LIMIT + 1)
        if node.parent >= 0:
            drawn[node.parent] += drawn[place]
    return drawn

"""An SVG logo: read as a stream, and written anew from what is known to be harmless.

No tree is built and nothing recurses: depth, elements and attributes are counted while the file is read, and what is
written is only what the tables of `grammar` hold. Reading what was written gives the same again.
Limits of the parser: no DOCTYPE, no entities, UTF-8 alone. Made to be shown through ``<img>`` with a sandboxing policy.
"""

from __future__ import annotations

import re

from voicegw_sidecar.branding import css
from voicegw_sidecar.branding.attribute import check_size, clean_attributes, refuse_running, split_name
from voicegw_sidecar.branding.expansion import Node, check_expansion
from voicegw_sidecar.branding.grammar import DROPPED, KEPT, REFUSED, SVG, WITH_TEXT, XHTML
from voicegw_sidecar.branding.refusal import AS_PNG, BadLogo, shown

DEPTH_LIMIT = 40
ELEMENTS_LIMIT = 5000
_DECLARATION = re.compile(
    rb"<\?xml[ \t\r\n]++version[ \t\r\n]*+=[ \t\r\n]*+(?:'1\.0'|\"1\.0\")"
    rb"(?:[ \t\r\n]++encoding[ \t\r\n]*+=[ \t\r\n]*+(?:'utf-?8'|\"utf-?8\"))?"
    rb"(?:[ \t\r\n]++standalone[ \t\r\n]*+=[ \t\r\n]*+(?:'yes'|'no'|\"yes\"|\"no\"))?[ \t\r\n]*+\?>",
    re.IGNORECASE,
)
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_IN_ATTRIBUTES = _IN_TEXT | str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})


def read_svg(content: bytes) -> bytes:
    """Return the drawing as it may be stored; raises `BadLogo` for what no still drawing needs."""
    _check_encoding(content)
    from defusedxml import DefusedXmlException  # imports two parsers, and rarely needed
    from defusedxml.ElementTree import ParseError, XMLParser

    reader = _Reader()
    parser = XMLParser(target=reader, encoding="utf-8", forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(content)
        parser.close()
    except DefusedXmlException as error:
        raise BadLogo(
            "a DOCTYPE or an entity", "an SVG without them", "delete the <!DOCTYPE ...> part at its beginning"
        ) from error
    except ParseError as error:
        line, column = error.position
        raise BadLogo(
            f"a mistake in the XML at line {line}, column {column + 1}", "well-formed XML", "export the logo again"
        ) from error
    return reader.text.encode()


def _check_encoding(content: bytes) -> None:
    expected = "an SVG in UTF-8", "save it in UTF-8"
    if b"\0" in content:  # told UTF-8, the parser still takes "<" and a zero for UTF-16
        raise BadLogo("a zero byte in the text", *expected)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise BadLogo("a text that is not UTF-8", *expected) from error
    if re.match(rb"<\?xml[ \t\r\n]", content[:6]) and not _DECLARATION.match(content):
        raise BadLogo("an XML declaration of another version or encoding", *expected)


class _Writer:
    """Writes elements; one that turns out to be empty is closed in its own tag."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._names: list[str] = []
        self._is_tag_open = False

    @property
    def innermost(self) -> str:
        """The element that is written into."""
        return self._names[-1] if self._names else ""

    def open(self, name: str, attributes: dict[str, str]) -> None:
        self._close_tag()
        pairs = "".join(f' {key}="{value.translate(_IN_ATTRIBUTES)}"' for key, value in attributes.items())
        self._pieces.append(f"<{name}{pairs}")
        self._names.append(name)
        self._is_tag_open = True

    def add(self, text: str) -> None:
        self._close_tag()
        self._pieces.append(text.translate(_IN_TEXT))

    def close(self) -> None:
        name = self._names.pop()
        self._pieces.append("/>" if self._is_tag_open else f"</{name}>")
        self._is_tag_open = False

    def text(self) -> str:
        return "".join(self._pieces)

    def _close_tag(self) -> None:
        if self._is_tag_open:
            self._pieces.append(">")
            self._is_tag_open = False


class _Reader:
    """What the parser tells of the file: each event is judged, and written at once if it stays."""

    def __init__(self) -> None:
        self.text = ""
        """The whole drawing, once it was read."""
        self._writer = _Writer()
        self._elements = 0
        self._depth = 0
        self._dropped_from = 0
        """The depth of the element that is left out with all that is in it; 0 for none."""
        self._open: list[int] = []
        self._nodes: list[Node] = []
        self._ids: set[str] = set()
        self._style: list[str] | None = None
        self._sheet: list[css.Rule] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Judge an element that begins."""
        self._count()
        namespace, name = split_name(tag)
        if self._depth == 1:
            _check_root(namespace, name)
        elif self._is_dropped(namespace, name):
            if namespace in (SVG, ""):
                refuse_running(attributes)
            return
        if self._style is not None:
            raise BadLogo("an element inside <style>", "text alone", AS_PNG)
        found = clean_attributes(name, attributes)
        if name == "style":
            _check_style(attributes)
            self._style = []
            return
        written = found.written
        if written.get("id") in self._ids:
            del written["id"]  # a browser finds the first one
        self._note(name, written, found.declarations)
        if self._depth == 1:
            check_size(attributes)
            written.pop("x", None)
            written.pop("y", None)
            written = {"xmlns": SVG, **written}
        self._writer.open(name, written)

    def end(self, tag: str) -> None:
        """Close an element, if it is kept."""
        self._depth -= 1
        if self._dropped_from:
            if self._depth < self._dropped_from:
                self._dropped_from = 0
        elif self._style is not None:
            self._write_style("".join(self._style))
            self._style = None
        else:
            self._nodes[self._open.pop()].end = len(self._nodes)
            self._writer.close()

    def data(self, text: str) -> None:
        """Keep text where text has a meaning."""
        if self._dropped_from:
            return
        if self._style is not None:
            self._style.append(text)
        elif self._writer.innermost in WITH_TEXT:
            self._writer.add(text)

    def pi(self, target: str, text: str | None = None) -> None:
        """Refuse instructions, such as a style sheet elsewhere; what is left out may hold any, and metadata does."""
        if not self._dropped_from:
            raise BadLogo("a processing instruction", "none but the XML declaration", AS_PNG)

    def close(self) -> None:
        """Finish the drawing."""
        check_expansion(self._nodes, self._sheet)
        self.text = self._writer.text()

    def _count(self) -> None:
        self._elements += 1
        self._depth += 1
        if self._elements > ELEMENTS_LIMIT:
            raise BadLogo(f"more than {ELEMENTS_LIMIT} elements", "a simpler drawing", "simplify it, or export PNG")
        if self._depth > DEPTH_LIMIT:
            raise BadLogo(f"elements nested more than {DEPTH_LIMIT} deep", "a simpler drawing", "ungroup it")

    def _is_dropped(self, namespace: str, name: str) -> bool:
        if not self._dropped_from and _judge(namespace, name, is_inside_dropped=False):
            self._dropped_from = self._depth
        elif self._dropped_from:
            _judge(namespace, name, is_inside_dropped=True)
        return bool(self._dropped_from)

    def _note(self, name: str, written: dict[str, str], declarations: tuple[css.Declaration, ...]) -> None:
        node = Node(name, self._open[-1] if self._open else -1)
        node.id = written.get("id")
        if node.id is not None:
            self._ids.add(node.id)
            node.keys.append(f"#{node.id}")
        node.keys += [f".{part}" for part in written.get("class", "").split()]
        node.href = written["href"][1:] if "href" in written else None
        node.references.note(declarations)
        self._open.append(len(self._nodes))
        self._nodes.append(node)

    def _write_style(self, text: str) -> None:
        sheet = css.rules(text)
        if sheet:
            self._sheet += sheet
            self._writer.open("style", {})
            self._writer.add("".join(rule.text() for rule in sheet))
            self._writer.close()


def _check_root(namespace: str, name: str) -> None:
    if name != "svg" or namespace not in (SVG, ""):
        raise BadLogo(f"a document of <{shown(name)}>", "one <svg>", "export the logo as SVG or PNG")


def _check_style(attributes: dict[str, str]) -> None:
    kind, media = attributes.get("type", "text/css"), attributes.get("media", "all")
    if kind.strip() not in ("text/css", "") or media.strip() not in ("all", "screen", ""):
        raise BadLogo("a <style> of another type or for some media only", "plain CSS", AS_PNG)


def _judge(namespace: str, name: str, *, is_inside_dropped: bool) -> bool:
    """Say whether an element is left out; raises `BadLogo` for one that must not be there at all."""
    is_svg = namespace in (SVG, "")
    # a tool's own data may have names of its own: its "image" is nobody's picture
    if name.lower() in REFUSED and (is_svg or namespace == XHTML or not is_inside_dropped):
        raise BadLogo(f"a <{shown(name)}> element", "shapes, gradients and text", AS_PNG)
    if is_inside_dropped:
        return True
    if namespace == XHTML:
        raise BadLogo(f"HTML: a <{shown(name)}> element", "shapes, gradients and text", AS_PNG)
    if not is_svg or name in DROPPED or name.startswith("fe"):
        return True
    if name not in KEPT or name == "svg":
        raise BadLogo(f"a <{shown(name)}> element", "shapes, gradients and text, in one <svg>", AS_PNG)
    return False

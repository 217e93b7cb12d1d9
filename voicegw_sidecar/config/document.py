"""YAML text to plain mappings, lists and scalars, within limits.

Only YAML's plain types: no other tag makes an object. Duplicate keys are refused, not resolved. Aliases
and merge keys are expanded and counted, so a small text cannot become a large document.
"""

from __future__ import annotations

import yaml

from voicegw_sidecar.config.kind import got
from voicegw_sidecar.errors import ConfigError

LIMIT_BYTES = 1_048_576
LIMIT_NODES = 100_000
"""Values in the document once every alias is written out."""
LIMIT_DEPTH = 32

_TAG = "tag:yaml.org,2002:"
_SCALARS = ("str", "int", "float", "bool", "null", "timestamp")


def parse(content: bytes, source: str) -> object:
    """Return the document's one value, None for an empty one; ``source`` names the file in errors."""
    if len(content) > LIMIT_BYTES:
        raise ConfigError(source, f"expected at most {LIMIT_BYTES} bytes, got more")
    try:
        # utf-8-sig: editors on Windows put a byte order mark first.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(source, f"line {line}: expected UTF-8 text, got other bytes") from None
    try:
        loader = _BoundedLoader(text)
        root = loader.get_single_node()
        return None if root is None else _Expansion(loader).value(root, 0)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(source, f"line {line}: expected text, got a control character") from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError(source, _place(error) + _problem(error)) from None


def _place(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark
    return "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "


def _problem(error: yaml.MarkedYAMLError) -> str:
    """Say what is wrong without repeating text of the file, which may be an unquoted key."""
    problem = " ".join(str(error.problem).split())
    if "undefined alias" in problem:
        return "found an alias that no anchor defines; text that begins with * needs quotes"
    if "tag" in problem:
        return "found a tag; text that begins with ! needs quotes"
    if "another document" in problem:
        return "expected one document, found another"
    if "but got '{'" in problem:
        return f"{problem}; inside braces or brackets a ${{NAME}} needs quotes"
    return problem


class _BoundedLoader(yaml.SafeLoader):
    """PyYAML's safe loader, used only up to the node graph, and refusing a deep or large one early."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._nodes = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        self._nodes += 1
        if self._depth > LIMIT_DEPTH or self._nodes > LIMIT_NODES:
            raise yaml.MarkedYAMLError(
                problem=f"expected at most {LIMIT_NODES} values and {LIMIT_DEPTH} levels",
                problem_mark=self.get_mark() if parent is None else _mark(parent),
            )
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class _Expansion:
    """One walk over the node graph that writes out aliases and merges."""

    def __init__(self, loader: yaml.SafeLoader) -> None:
        self._loader = loader
        self._values = 0

    def value(self, node: yaml.Node, depth: int) -> object:
        self._values += 1
        if self._values > LIMIT_NODES or depth > LIMIT_DEPTH:
            # An alias inside its own anchor ends here too.
            raise _fault(f"expected at most {LIMIT_NODES} values and {LIMIT_DEPTH} levels with aliases expanded", node)
        match node:
            case yaml.ScalarNode():
                return self._scalar(node)
            case yaml.SequenceNode() if node.tag == f"{_TAG}seq":
                return [self.value(item, depth + 1) for item in node.value]
            case yaml.MappingNode() if node.tag == f"{_TAG}map":
                return self._mapping(node, depth)
        raise _fault("found a tag", node)

    def _scalar(self, node: yaml.ScalarNode) -> object:
        sort = node.tag.removeprefix(_TAG)
        if sort not in _SCALARS:
            raise _fault("found a tag", node)
        if sort in ("str", "timestamp"):
            # No field is a date; a name such as 2024-01-01 is meant as text.
            return node.value
        try:
            value: object = self._loader.construct_object(node)
        except (ValueError, KeyError):
            raise _fault("expected a number or yes/no value; text needs quotes", node) from None
        return value

    def _mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, object]:
        merged: dict[str, object] = {}
        own: dict[str, object] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _fault("expected text as a key, got a list or mapping", key_node)
            # The text as written: a project called 007 or no is meant so.
            key = str(key_node.value)
            if key in lines:
                raise _fault(f"the key {got(key)} is given twice, first on line {lines[key]}", key_node)
            lines[key] = key_node.start_mark.line + 1
            if key_node.tag == f"{_TAG}merge":
                merged = self._merge(value_node, depth)
            else:
                own[key] = self.value(value_node, depth + 1)
        return {**merged, **own}

    def _merge(self, node: yaml.Node, depth: int) -> dict[str, object]:
        value = self.value(node, depth + 1)
        merged: dict[str, object] = {}
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                raise _fault("expected a mapping, or a list of mappings, to merge", node)
            for key, item in source.items():
                merged.setdefault(key, item)  # the first one named wins
        return merged


def _fault(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=_mark(node))


def _mark(node: yaml.Node) -> yaml.Mark | None:
    return node.start_mark if isinstance(node.start_mark, yaml.Mark) else None

"""The parsed file against the schema: every fault with its dotted path, what was found and what is expected.

Driven by the annotations of ``schema``; knows no key by name. Reads no file and no environment but the
mapping it is given. What one key says about another is ``rule``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, TypeVar, cast, get_args, get_origin

from msgspec import UNSET, Struct, structs

from voicegw_sidecar.config.kind import Kind, Mismatch, did_you_mean, expected, joined
from voicegw_sidecar.config.rule import broken_rules
from voicegw_sidecar.config.schema import FROM_KEY, Auth, BuiltinProvider, Config, Project
from voicegw_sidecar.config.substitute import substitute
from voicegw_sidecar.errors import ConfigError

S = TypeVar("S", bound=Struct)


def check_document(
    document: object, builtin: Mapping[str, BuiltinProvider], environ: Mapping[str, str] | None = None
) -> tuple[Config, list[ConfigError]]:
    """Read a parsed document; with errors, the configuration holds the default in each faulty place.

    ``environ`` is what ``${NAME}`` is replaced from; with None it is left as it stands.
    """
    walk = _Walk(environ)
    config = walk.struct(Config, document, "")
    config = structs.replace(
        config,
        projects={key: structs.replace(project, id=key) for key, project in config.projects.items()},
        auth=Auth(
            api_keys=tuple(key for key in config.auth.api_keys if key),
            viewer_keys=tuple(key for key in config.auth.viewer_keys if key),
        ),
    )
    return config, walk.errors + list(broken_rules(config, builtin))


def check_project(document: object, project_id: str) -> tuple[Project, list[ConfigError]]:
    """Read one project's section; ``${NAME}`` in it stays as it stands. What it says against others is ``rule``'s."""
    walk = _Walk(None)
    project = walk.struct(Project, document, f"projects.{project_id}")
    return structs.replace(project, id=project_id), walk.errors


def check_all(
    document: object, builtin: Mapping[str, BuiltinProvider], environ: Mapping[str, str] | None = None
) -> list[ConfigError]:
    """Return every fault of a parsed document, in the file's order, then what its keys say against each other."""
    return check_document(document, builtin, environ)[1]


class _Walk:
    """One pass over a document; gathers errors and keeps going."""

    def __init__(self, environ: Mapping[str, str] | None) -> None:
        self.environ = environ
        self.errors: list[ConfigError] = []

    def struct(self, cls: type[S], found: object, path: str) -> S:
        """Read one section; an empty one (all its lines commented out) is all defaults."""
        fields = {field.encode_name: field for field in structs.fields(cls) if FROM_KEY not in get_args(field.type)}
        values: dict[str, object] = {}
        for key, value in self._items(found, path).items():
            field = fields.get(key)
            if field is None:
                hint = did_you_mean(key, fields) or "; expected one of " + ", ".join(fields)
                self._fail(joined(path, key), f"unknown key{hint}")
                continue
            values[field.name] = self._value(field.type, value, joined(path, key))
        return structs.replace(cls(), **{name: value for name, value in values.items() if value is not UNSET})

    def _value(self, annotation: object, found: object, path: str) -> object:
        """Read one value by its annotation; UNSET where it is wrong."""
        origin = get_origin(annotation)
        if origin is Annotated:
            return self._leaf(cast(Kind, get_args(annotation)[1]), found, path)
        if origin is tuple:
            return self._sequence(get_args(annotation)[0], found, path)
        if origin is dict:
            key_annotation, item_annotation = get_args(annotation)
            return self._mapping(cast(Kind, get_args(key_annotation)[1]), item_annotation, found, path)
        assert isinstance(annotation, type)
        assert issubclass(annotation, Struct)
        return self.struct(annotation, found, path)

    def _leaf(self, kind: Kind, found: object, path: str) -> object:
        try:
            if isinstance(found, str) and self.environ is not None:
                found = substitute(found, self.environ)
            return kind.read(found)
        except Mismatch as mismatch:
            self._fail(path, str(mismatch))
            return UNSET

    def _sequence(self, annotation: object, found: object, path: str) -> tuple[object, ...]:
        if found is None:
            return ()
        if not isinstance(found, list | tuple):
            self._fail(path, str(expected("a list", found)))
            return ()
        values = [self._value(annotation, item, f"{path}[{index}]") for index, item in enumerate(found)]
        # All or nothing: rules about the rest would name wrong positions.
        return () if any(value is UNSET for value in values) else tuple(values)

    def _mapping(self, key_kind: Kind, annotation: object, found: object, path: str) -> dict[str, object]:
        values: dict[str, object] = {}
        for key, value in self._items(found, path).items():
            # The key itself is never substituted: a path in a message has to be findable in the file.
            try:
                name = str(key_kind.read(key))
            except Mismatch as mismatch:
                self._fail(joined(path, key), str(mismatch))
                continue
            read = self._value(annotation, value, joined(path, key))
            if read is not UNSET:
                values[name] = read
        return values

    def _items(self, found: object, path: str) -> dict[str, object]:
        if found is None:
            return {}
        if not isinstance(found, dict):
            self._fail(path, str(expected("a mapping of keys", found)))
            return {}
        for key in found:
            if not isinstance(key, str):
                self._fail(path, str(expected("text as keys", key)))
        return {key: value for key, value in found.items() if isinstance(key, str)}

    def _fail(self, path: str, reason: str) -> None:
        self.errors.append(ConfigError(path, reason))

"""What of a configuration may be shown: every key and value but credentials, which are only said to be there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct, UnsetType

from voicegw_sidecar.config.schema import Config
from voicegw_sidecar.terms import NANO_PER_USD, RosterEntry, Secret

_OLD, _NEW = "a key", "another key"


def differences(old: Config, new: Config) -> tuple[dict[str, object], dict[str, object]]:
    """Return the dotted keys whose values differ: as they were, and as they are now. A key is never shown."""
    before, after = dict(_leaves(old, "")), dict(_leaves(new, ""))
    changed = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    return (
        {path: _shown(before[path], _OLD) for path in changed if path in before},
        {path: _shown(after[path], _NEW if path in before else _OLD) for path in changed if path in after},
    )


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Yield each set value with its dotted path."""
    match value:
        case UnsetType() | None:
            return
        case RosterEntry():
            yield path, value
        case Struct():
            for name, encoded in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True):
                item = getattr(value, name)
                if name.endswith("_nanousd") and isinstance(item, int):
                    item = item / NANO_PER_USD  # as the file has it
                yield from _leaves(item, f"{path}.{encoded}" if path else encoded)
        case dict():
            for key, item in value.items():
                yield from _leaves(item, f"{path}.{key}" if path else str(key))
        case _:
            yield path, value


def _shown(value: object, key_words: str) -> object:
    match value:
        case Secret():
            return key_words if value else ""
        case tuple():
            return [_shown(item, key_words) for item in value]
        case str() if "://" in value:  # below a host there may be a credential, put there by a variable
            parts = urlsplit(value)
            return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" + ("/…" if parts.path.strip("/") else "")
        case bool() | int() | float() | str():
            return value
        case Path() | RosterEntry():
            return str(value)
        case _:
            return str(value)

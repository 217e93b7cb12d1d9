"""``${NAME}`` and ``${NAME:-default}`` in one text of the file.

Works on texts already parsed, so a value from the environment can never become YAML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from voicegw_sidecar.config.kind import EnvText, Mismatch

_NAMED = r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<or>:-(?P<default>[^}]*))?\}"
_SUBSTITUTION = re.compile(_NAMED)
_TOKEN = re.compile(rf"(?P<escaped>\$\$\{{)|{_NAMED}|(?P<broken>\$\{{)")


def substitute(text: str, environ: Mapping[str, str]) -> str:
    """Replace every ``${…}``; ``$${`` stands for a literal ``${``. Raises :class:`Mismatch` for an unset name.

    As in a shell, ``:-`` also replaces a variable that is set and empty. The result is an
    :class:`EnvText` as soon as one substitution took place.
    """
    if "${" not in text:
        return text
    names: list[str] = []

    def value(token: re.Match[str]) -> str:
        if token["escaped"]:
            return "${"
        name = token["name"]
        if not name:
            raise Mismatch("expected ${NAME} or ${NAME:-default}, got a ${ that begins neither; a literal one is $${")
        names.append(name)
        found = environ.get(name)
        if token["or"]:
            return found or token["default"]
        if found is None:
            raise Mismatch(
                f"the environment variable {name} is not set; set it, or write ${{{name}:-default}} to do without"
            )
        return found

    replaced = _TOKEN.sub(value, text)
    if not names:
        return replaced
    return EnvText(replaced, tuple(names), is_whole=_SUBSTITUTION.fullmatch(text) is not None)

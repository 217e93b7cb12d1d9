"""Why an uploaded logo is refused, in one line: what was found, what is expected, what to do."""

from __future__ import annotations

import re

from voicegw_sidecar.errors import BadRequest

AS_PNG = "remove it, or export the logo as PNG"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9:_-]{0,40}")


class BadLogo(BadRequest):
    """The file is no logo that may be shown: the uploader's to mend. Holds nothing of the file but a plain name."""

    def __init__(self, found: str, expected: str, remedy: str) -> None:
        super().__init__(f"logo: found {found}; expected {expected}; {remedy}")


def shown(name: str) -> str:
    """Return a name as it may be repeated: one that is long or has other characters is the file's, and is not."""
    return name if _NAME.fullmatch(name) else "(unnamed)"

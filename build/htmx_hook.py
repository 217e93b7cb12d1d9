"""Hatch build hook: copy htmx.min.js from the build requirement `django-htmx` to static/vendor/.

No third-party JavaScript is committed. The wheel `django-htmx` (MIT) carries htmx as package data, so
naming it as a build requirement pins htmx for wheel, editable install and executable alike.
"""

from __future__ import annotations

import filecmp
import shutil
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "django_htmx/static/django_htmx/htmx.min.js"


class HtmxHook(BuildHookInterface):
    """Puts htmx where templates expect it, before any file is collected."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Copy the script; a missing file is an error, since the pages would silently lose their polling."""
        source = Path(str(distribution("django-htmx").locate_file(SOURCE)))
        target = Path(self.root) / "static" / "vendor" / "htmx.min.js"
        if not source.is_file():
            raise FileNotFoundError(f"expected htmx at {source}; the django-htmx pin in pyproject.toml changed")
        if target.is_file() and filecmp.cmp(source, target, shallow=False):
            return  # a sidecar that runs from this checkout may be reading it
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)

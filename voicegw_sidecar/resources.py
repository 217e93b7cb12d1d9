"""Where the folders `templates/` and `static/` are, in a checkout, a wheel and the executable.

The executable keeps the shape of the checkout, so only a wheel differs: there both folders lie in
``voicegw_sidecar/_assets``. Files a user uploads never go here; they live in the data directory.
"""

from __future__ import annotations

from pathlib import Path

from voicegw_sidecar.errors import SidecarError

_PACKAGE = Path(__file__).resolve().parent


def assets() -> Path:
    """Return the folder that holds ``templates`` and ``static``."""
    for root in (_PACKAGE / "_assets", _PACKAGE.parent):
        if (root / "templates").is_dir() and (root / "static").is_dir():
            return root
    raise SidecarError(
        f"templates/ and static/ found neither in {_PACKAGE / '_assets'} nor in {_PACKAGE.parent}: "
        "the installation is incomplete; install the package again"
    )


def package_file(name: str) -> Path:
    """Return a data file of the package, such as ``data/baselines.json``."""
    return _PACKAGE / name

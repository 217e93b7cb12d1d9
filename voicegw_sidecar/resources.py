"""Where the folders `templates/` and `static/` are, in a checkout, a wheel and the executable.

The executable keeps the shape of the checkout, so only a wheel differs: there both folders lie in
``voicegw_sidecar/_assets``. What few calls need lies packed in the executable. Files a user uploads never go here;
they live in the data directory.
"""

from __future__ import annotations

import shutil
import threading
import zipfile
from pathlib import Path

from voicegw_sidecar.errors import SidecarError

_PACKAGE = Path(__file__).resolve().parent
_unpacking = threading.Lock()


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


def unpacked(name: str) -> Path | None:
    """Return the folder with what was packed as ``name``, such as ``sound.zip``; None where there is no such file.

    Only the executable has one, beside the package. It is unpacked there at the first call, on the caller's thread,
    and gone afterwards; :class:`SidecarError` where there is no room for it, and the next call tries again.
    """
    packed = _PACKAGE.parent / name
    folder = packed.with_name(f"{name}.unpacked")  # not a name that another package could have
    with _unpacking:
        if packed.is_file():
            _unpack(packed, folder)
        return folder if folder.is_dir() else None


def _unpack(packed: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(folder)
        packed.unlink()  # last: until then the folder is not complete
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)  # what little room there is, others need
        raise SidecarError(
            f"{packed} cannot be unpacked: {error.strerror}; its folder needs 100 MB in all, see docs/packaging.md"
        ) from error

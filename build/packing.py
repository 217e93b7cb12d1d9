"""Writes libraries into one archive, for the executable to unpack when it first needs them.

Compiled Python only: nothing compiled is kept between two starts.
"""

from __future__ import annotations

import hashlib
import json
import py_compile
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePath

ROOT = Path(__file__).resolve().parent.parent
COMPRESSION = zipfile.ZIP_LZMA  # a third smaller than ZIP_DEFLATED, and slower to unpack
_LOAD = """
import json, sys
before = set(sys.modules)
{work}
used = [name for name, module in sys.modules.items() if name not in before and getattr(module, "__spec__", None)]
print(json.dumps([used, [line.split()[-1] for line in open("/proc/self/maps")]]))
"""


def used_by(work: str) -> tuple[list[str], list[Path]]:
    """Run some lines of Python as the sidecar would; returns the modules they import and the files they map."""
    code = _LOAD.format(work=work)
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    modules, mapped = json.loads(ran.stdout)
    return modules, sorted({Path(path) for path in mapped if path.startswith("/")})


def write(target: Path, files: Iterable[tuple[PurePath, Path]], source: object) -> None:
    """Write the archive, unless it is there and was made from the same ``source``."""
    made_from = hashlib.sha256(repr((source, sys.version)).encode()).hexdigest().encode()
    if zipfile.is_zipfile(target) and zipfile.ZipFile(target).comment == made_from:
        return  # to compress takes 15 s
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", COMPRESSION) as archive, tempfile.NamedTemporaryFile() as compiled:
        for name, file in sorted(files):
            if name.suffix == ".py":
                unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH  # there is no source to compare with
                py_compile.compile(str(file), compiled.name, str(name), doraise=True, invalidation_mode=unchecked)
                archive.write(compiled.name, name.with_suffix(".pyc"))
            else:
                archive.write(file, name)
        archive.comment = made_from  # written at the end: an archive that broke off has none

"""Collects the licences of everything in the executable into one text: ``python build/notices.py TARGET``.

Run in the environment that the executable is built from. The distributions are those that ``pyproject.toml``
requires at run time, with the extras that ``VOICEGW_EXTRAS`` names, and what those require, but for what the executable
leaves out. A distribution without a licence is an error.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAME = re.compile(r"[A-Za-z0-9._-]+")
LICENCE_FILE = re.compile(r"(licen[cs]e|copying|notice|authors)", re.IGNORECASE)
CODE = {".py", ".pyi", ".pyc"}
LEFT_OUT = {"uvicorn", "jsonschema", "referencing", "rpds-py"}
"""What the MCP SDK requires and `voicegw.spec` excludes, with what only these require."""
RULE = "=" * 78
HEAD = """\
voicegw-sidecar: third-party notices

The executable voicegw-sidecar contains the works below. Each is under its own licence, given here.
"""
HTMX = """\
htmx 2.0.7 (https://htmx.org), as static/vendor/htmx.min.js
Licence: 0BSD

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby
granted.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING
ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL,
DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS,
WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE
USE OR PERFORMANCE OF THIS SOFTWARE.
"""
BOOTLOADER = """\
PyInstaller bootloader (https://pyinstaller.org), which starts the executable
Licence: GPL-2.0-or-later WITH Bootloader-exception: "unlimited permission to link or embed compiled bootloader
and related files into combinations with other programs, and to distribute those combinations without any
restriction coming from the use of those files".
"""
LIBRARIES = """\
Shared libraries of the machine that built the executable, where they are in it: OpenSSL (Apache-2.0), zlib (Zlib),
bzip2 (bzip2-1.0.6), liblzma (0BSD), libffi (MIT), Expat (MIT), libuuid (BSD-3-Clause), GCC's libgcc and libstdc++
(GPL-3.0-or-later WITH GCC-exception-3.1). In apsw: SQLite (public domain). In uvloop: libuv (MIT). In aiohttp:
llhttp (MIT). In PyYAML: libyaml (MIT). In Pillow, in images.zip: libpng, libjpeg-turbo and
others, listed by its own licence.
Of the libraries that convert sound, each a file of its own in sound.zip. In soundfile: libsndfile (LGPL-2.1-or-later)
with FLAC, Ogg, Opus and Vorbis (BSD-3-Clause), mpg123 (LGPL-2.1) and LAME (LGPL-2.0-or-later). In soxr: libsoxr
(LGPL-2.1-or-later) with PFFFT (BSD-like). In numpy: OpenBLAS, LAPACK, libgfortran and libquadmath, listed by its own
licence. In cffi: libffi (MIT).
"""


def closure() -> list[Distribution]:
    """Return every distribution that is needed at run time, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [project["optional-dependencies"][name] for name in os.environ.get("VOICEGW_EXTRAS", "").split()]
    waiting, found = [*project["dependencies"], *(one for extra in extras for one in extra)], dict[str, Distribution]()
    while waiting:
        requirement = waiting.pop()
        if "extra ==" in requirement:
            continue
        name = re.sub(r"[-_.]+", "-", NAME.match(requirement).group()).lower()
        if name in found or name in LEFT_OUT:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            if ";" in requirement:
                continue  # for another system or an older Python
            raise
        waiting += found[name].requires or []
    return [found[name] for name in sorted(found)]


def notice(package: Distribution) -> str:
    """Return name, version, licence and licence texts of a distribution."""
    facts = package.metadata
    licence = facts.get("License-Expression") or facts.get("License") or ""
    classifiers = [line.rpartition(" :: ")[2] for line in facts.get_all("Classifier", []) if "License ::" in line]
    files = [file for file in package.files or [] if LICENCE_FILE.search(file.name) and file.suffix not in CODE]
    texts = [Path(str(package.locate_file(file))).read_text(encoding="utf-8", errors="replace") for file in files]
    named = licence.strip().partition("\n")[0] or ", ".join(classifiers)
    if not named and not texts:
        sys.exit(f"notices: {facts['Name']} {package.version} carries no licence; look it up and name it here")
    return "\n".join([f"{facts['Name']} {package.version}", f"Licence: {named}", "", *(text.strip() for text in texts)])


def python_notice() -> str:
    """Return the licence of Python and its standard library."""
    version = ".".join(map(str, sys.version_info[:3]))
    file = Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"
    text = file.read_text(encoding="utf-8") if file.is_file() else "See https://docs.python.org/3/license.html\n"
    return f"Python {version} and its standard library (https://www.python.org)\nLicence: PSF-2.0\n\n{text.strip()}"


def main() -> None:
    """Write the text."""
    target = Path(sys.argv[1])
    parts = [HEAD, python_notice(), BOOTLOADER, LIBRARIES, HTMX, *(notice(package) for package in closure())]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"\n\n{RULE}\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

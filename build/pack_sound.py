"""Packs the libraries behind ``voicegw_sidecar/sound/`` in one file: ``python build/pack_sound.py TARGET``.

Run in the environment that the executable is built from; everything comes from its installed packages. Prints the
modules that the libraries import from elsewhere, a line each, for PyInstaller, which does not look into the file.
What is left out is what conversion does not need: numpy's tests, its tools for building, and those of its parts that
it imports only when they are asked for. Compiled Python only: nothing compiled is kept between two starts.
"""

from __future__ import annotations

import hashlib
import json
import py_compile
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path, PurePath

ROOT = Path(__file__).resolve().parent.parent
DISTRIBUTIONS = ("numpy", "soxr", "soundfile", "cffi")
LEFT_OUT = {
    # of numpy
    "tests", "testing", "f2py", "distutils", "include", "_pyinstaller", "core", "random", "fft", "ma", "polynomial",
    # soundfile was built with it, and needs its shared library alone
    "cffi",
}  # fmt: skip
ONLY_TESTED_WITH = ("_simd.", "_tests.")
"""In the names of the shared libraries that numpy tests itself with."""
CPP_RUNTIME = "libstdc++.so.6"
COMPRESSION = zipfile.ZIP_LZMA  # 10 MB where ZIP_DEFLATED is 15; unpacks in 0.5 s instead of 0.2
LOAD = """
import sys
before = set(sys.modules)
from voicegw_sidecar import sound
sound.load()
used = [name for name, module in sys.modules.items() if name not in before and getattr(module, "__spec__", None)]
import json
print(json.dumps([used, [line.split()[-1] for line in open("/proc/self/maps")]]))
"""


def files() -> Iterator[tuple[PurePath, Path]]:
    """Yield each file that is packed: its name there, and where it is."""
    for name in DISTRIBUTIONS:
        package = distribution(name)
        for file in package.files or []:
            is_code = file.suffix == ".py" or ".so" in file.suffixes
            is_left_out = not LEFT_OUT.isdisjoint(file.parts) or any(part in file.name for part in ONLY_TESTED_WITH)
            if is_code and not is_left_out:
                yield PurePath(file), Path(str(package.locate_file(file)))


def loaded() -> tuple[list[str], Path]:
    """Load the libraries as the sidecar does: returns the modules in use that are not packed, and the C++ library.

    The latter is packed too: a bare machine may have none.
    """
    ran = subprocess.run([sys.executable, "-c", LOAD], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    modules, mapped = json.loads(ran.stdout)
    packed = {name.parts[0].partition(".")[0] for name, _ in files()} | {"voicegw_sidecar"}
    library = next(path for path in mapped if PurePath(path).name.startswith(CPP_RUNTIME))
    return sorted(name for name in modules if name.partition(".")[0] not in packed), Path(library)


def pack(target: Path, cpp_runtime: Path) -> None:
    """Write the archive, unless it is there and was made from the same."""
    versions = [(name, distribution(name).version) for name in DISTRIBUTIONS]
    source = (Path(__file__).read_text(encoding="utf-8"), sys.version, versions, cpp_runtime.stat().st_size)
    made_from = hashlib.sha256(repr(source).encode()).hexdigest().encode()
    if zipfile.is_zipfile(target) and zipfile.ZipFile(target).comment == made_from:
        return  # to compress takes 15 s
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", COMPRESSION) as archive, tempfile.NamedTemporaryFile() as compiled:
        for name, file in sorted(files()):
            if name.suffix == ".py":
                unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH  # there is no source to compare with
                py_compile.compile(str(file), compiled.name, str(name), doraise=True, invalidation_mode=unchecked)
                archive.write(compiled.name, name.with_suffix(".pyc"))
            else:
                archive.write(file, name)
        archive.write(cpp_runtime, CPP_RUNTIME)
        archive.comment = made_from  # written at the end: an archive that broke off has none


def main() -> None:
    """Pack, and print what else is needed."""
    modules, cpp_runtime = loaded()
    pack(Path(sys.argv[1]), cpp_runtime)
    print("\n".join(modules))


if __name__ == "__main__":
    main()

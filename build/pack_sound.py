"""Packs the libraries behind ``voicegw_sidecar/sound/`` in one file: ``python build/pack_sound.py TARGET``.

Run in the environment that the executable is built from; everything comes from its installed packages. Prints the
modules that the libraries import from elsewhere, a line each, for PyInstaller, which does not look into the file.
What is left out is what conversion does not need: numpy's tests, its tools for building, and those of its parts that
it imports only when they are asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path, PurePath

import packing

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
    modules, mapped = packing.used_by("from voicegw_sidecar import sound\nsound.load()")
    packed = {name.parts[0].partition(".")[0] for name, _ in files()} | {"voicegw_sidecar"}
    library = next(path for path in mapped if path.name.startswith(CPP_RUNTIME))
    return sorted(name for name in modules if name.partition(".")[0] not in packed), library


def pack(target: Path, cpp_runtime: Path) -> None:
    """Write the archive, unless it is there and was made from the same."""
    versions = [(name, distribution(name).version) for name in DISTRIBUTIONS]
    source = (Path(__file__).read_text(encoding="utf-8"), versions, cpp_runtime.stat().st_size)
    packing.write(target, [*files(), (PurePath(CPP_RUNTIME), cpp_runtime)], source)


def main() -> None:
    """Pack, and print what else is needed."""
    modules, cpp_runtime = loaded()
    pack(Path(sys.argv[1]), cpp_runtime)
    print("\n".join(modules))


if __name__ == "__main__":
    main()

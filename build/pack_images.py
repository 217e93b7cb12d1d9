"""Packs Pillow, which reads logos, in one file: ``python build/pack_images.py TARGET``.

Run in the environment that the executable is built from. Prints the modules that it imports from elsewhere, a line
each, for PyInstaller, which does not look into the file. Of Pillow there is what reads and writes PNG: no other format,
no fonts, no screens.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path, PurePath

import packing

LEFT_OUT = (
    "ImagePlugin",
    "ImageTk",
    "ImageQt",
    "ImageShow",
    "ImageGrab",
    "ImageFont",
    "ImageCms",
    "ImageWin",
    "StubImage",
)
"""In the names of modules that no PNG needs."""
KEPT = "PngImagePlugin"
EXTENSION = "_imaging."
WORK = """
import base64
from voicegw_sidecar.branding.png import read_png
read_png(content=base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAIAAAAmkwkpAAAAEElEQVR42mP4n2YMRwzEcQCkEhmBxAYToAAAAABJRU5ErkJggg=="
), limit_px=512)
"""


def files(mapped: list[Path]) -> Iterator[tuple[PurePath, Path]]:
    """Yield each file that is packed: its name there, and where it is; of shared libraries what is ``mapped``."""
    for file in distribution("pillow").files or []:
        path = Path(str(distribution("pillow").locate_file(file)))
        is_module = file.parts[0] == "PIL" and file.suffix == ".py" and file.parts[-1] != "__main__.py"
        is_needed = file.stem == KEPT or not any(part in file.stem for part in LEFT_OUT)
        is_library = path.resolve() in mapped and ".so" in file.suffixes
        if (is_module and is_needed) or is_library:
            yield PurePath(file), path


def main() -> None:
    """Pack, and print what else is needed."""
    modules, mapped = packing.used_by(WORK)
    source = (Path(__file__).read_text(encoding="utf-8"), distribution("pillow").version)
    packing.write(Path(sys.argv[1]), files(mapped), source)
    print("\n".join(sorted(name for name in modules if name.partition(".")[0] not in ("PIL", "voicegw_sidecar"))))


if __name__ == "__main__":
    main()

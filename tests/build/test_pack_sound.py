"""The libraries that convert sound, packed as for the executable, work where none is installed."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typing_extensions

from tests.build.support import ROOT

CONVERT = """
import ctypes, sys
sys.path.insert(0, sys.argv[1])
if sys.argv[2:] == ["bare"]:
    load_library = ctypes.CDLL
    def bare(name, *rest, **more):
        if name == "libstdc++.so.6":
            raise OSError(name)
        return load_library(name, *rest, **more)
    ctypes.CDLL = bare
from voicegw_sidecar.sound.decode import decoded
from voicegw_sidecar.sound.encode import Encoder
for container in ("mp3", "opus", "flac"):
    encoder = Encoder(container, 22050)
    file = encoder.feed(bytes(44100)) + encoder.rest()
    print(container, len(decoded(file, 16000)) / 32000)
import numpy, soundfile, soxr
print(*(module.__file__ for module in (numpy, soundfile, soxr)))
print(next(line.split()[-1] for line in open("/proc/self/maps") if "libstdc++" in line))
"""


@pytest.fixture(scope="module")
def pack_sound() -> ModuleType:
    if str(ROOT / "build") not in sys.path:
        sys.path.insert(0, str(ROOT / "build"))  # as where it is run from
    spec = importlib.util.spec_from_file_location("pack_sound", ROOT / "build" / "pack_sound.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.packing.COMPRESSION = zipfile.ZIP_STORED  # else it takes 15 s
    return module


@pytest.fixture(scope="module")
def archive(pack_sound: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("packed") / "sound.zip"
    pack_sound.pack(target, pack_sound.loaded()[1])
    return target


@pytest.fixture
def bundle(pack_sound: ModuleType, archive: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder in the shape of the executable's, as far as sound goes."""
    package = tmp_path / "voicegw_sidecar"
    shutil.copytree(ROOT / "voicegw_sidecar" / "sound", package / "sound")
    for name in ("__init__.py", "errors.py", "resources.py"):
        shutil.copy(ROOT / "voicegw_sidecar" / name, package)
    if "typing_extensions" in pack_sound.loaded()[0]:  # soundfile imports it from 0.14 on
        shutil.copy(typing_extensions.__file__, tmp_path)
    shutil.copy(archive, tmp_path)
    yield tmp_path
    shutil.rmtree(tmp_path)  # 50 MB


def converted(bundle: Path, *words: str) -> list[str]:
    command = [sys.executable, "-I", "-S", "-c", CONVERT, str(bundle), *words]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_it_converts_from_the_archive_alone(bundle: Path) -> None:
    *lengths, files, cpp_runtime = converted(bundle)
    for line in lengths:
        assert 0.99 < float(line.split()[1]) < 1.2, line
    assert all(Path(file).is_relative_to(bundle / "sound.zip.unpacked") for file in files.split())
    assert not Path(cpp_runtime).is_relative_to(bundle), "the system has one of its own"
    assert not (bundle / "sound.zip").exists()


def test_it_converts_where_there_is_no_cpp_library(bundle: Path) -> None:
    assert Path(converted(bundle, "bare")[-1]) == bundle / "sound.zip.unpacked" / "libstdc++.so.6"


def test_only_what_conversion_needs_is_packed(archive: Path) -> None:
    with zipfile.ZipFile(archive) as packed:
        names = packed.namelist()
        assert sum(entry.file_size for entry in packed.infolist()) < 55_000_000
    assert {name.partition("/")[0].partition(".cpython")[0] for name in names} == {
        "numpy", "numpy.libs", "soxr", "soundfile.pyc", "_soundfile.pyc", "_soundfile_data", "_cffi_backend",
        "libstdc++.so.6",
    }  # fmt: skip
    assert not [name for name in names if "test" in name.rpartition("/")[2] and name.endswith(".so")]
    assert not [name for name in names if name.startswith(("numpy/f2py", "numpy/random")) or name.endswith(".py")]


def test_of_pillow_there_is_what_a_png_needs(tmp_path: Path) -> None:
    target = tmp_path / "images.zip"
    script = ROOT / "build" / "pack_images.py"
    printed = subprocess.run([sys.executable, script, target], check=True, capture_output=True, text=True).stdout
    assert not [name for name in printed.split() if name.startswith(("PIL", "voicegw"))]
    with zipfile.ZipFile(target) as packed:
        packed.extractall(tmp_path / "images")
        names = packed.namelist()
    assert [name for name in names if "ImagePlugin" in name] == ["PIL/PngImagePlugin.pyc"]
    assert not [name for name in names if "avif" in name or "webp" in name or "freetype" in name]
    code = (
        "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]\n"
        f"sys.path.insert(0, {str(tmp_path / 'images')!r})\n"
        "from PIL import Image; import io\n"
        "out = io.BytesIO(); Image.new('RGBA', (9, 9), '#f63').save(out, 'PNG')\n"
        "print(Image.open(io.BytesIO(out.getvalue()), formats=['PNG']).size, Image.__file__)"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert shown.startswith("(9, 9)")
    assert str(tmp_path) in shown


def test_it_is_packed_again_only_when_something_changed(pack_sound: ModuleType, archive: Path) -> None:
    cpp_runtime = pack_sound.loaded()[1]
    made = archive.stat().st_mtime_ns
    pack_sound.pack(archive, cpp_runtime)
    assert archive.stat().st_mtime_ns == made
    with zipfile.ZipFile(archive, "a") as packed:
        packed.comment = b"of another version"
    pack_sound.pack(archive, cpp_runtime)
    assert archive.stat().st_mtime_ns > made

"""Where assets are found, and how what lies packed beside the package is unpacked."""

from __future__ import annotations

import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from voicegw_sidecar import resources
from voicegw_sidecar.errors import SidecarError

CONTENT = {"one.py": b"x = 1\n", "folder/two.so": bytes(range(256)) * 32_768}


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the package lies."""
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "voicegw_sidecar")
    return tmp_path


@pytest.fixture
def packed(beside: Path) -> Path:
    with zipfile.ZipFile(beside / "some.zip", "w") as archive:
        for name, content in CONTENT.items():
            archive.writestr(name, content)
    return beside / "some.zip"


def held(folder: Path | None) -> dict[str, bytes]:
    assert folder is not None
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_checkout_has_its_assets_and_nothing_packed() -> None:
    assert (resources.assets() / "templates" / "base.html").is_file()
    assert resources.unpacked("sound.zip") is None


def test_an_installation_without_assets_says_so(beside: Path) -> None:
    with pytest.raises(SidecarError, match=r"templates/ and static/ found neither in .*; install the package again"):
        resources.assets()


def test_what_is_packed_is_unpacked_once(packed: Path) -> None:
    folder = resources.unpacked("some.zip")
    assert held(folder) == CONTENT
    assert not packed.exists(), "the archive still takes its room"
    (packed.parent / "some.zip.unpacked" / "one.py").write_bytes(b"mark")
    assert resources.unpacked("some.zip") == folder
    assert held(folder)["one.py"] == b"mark"


def test_threads_that_ask_at_once_all_get_the_whole(packed: Path) -> None:
    count = 8
    together = threading.Barrier(count)

    def ask(_: int) -> dict[str, bytes]:
        together.wait()
        return held(resources.unpacked("some.zip"))

    with ThreadPoolExecutor(count) as pool:
        assert list(pool.map(ask, range(count))) == [CONTENT] * count


def test_without_room_it_says_so_and_works_once_there_is_room(packed: Path) -> None:
    in_the_way = packed.with_name("some.zip.unpacked")
    in_the_way.write_bytes(b"")
    with pytest.raises(SidecarError, match=r"some\.zip cannot be unpacked: Not a directory; its folder needs 100 MB"):
        resources.unpacked("some.zip")
    in_the_way.unlink()
    assert held(resources.unpacked("some.zip")) == CONTENT

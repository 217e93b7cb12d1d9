"""The signing key: made once, kept, closed to others, and never guessed at."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicegw_sidecar.errors import StoreFailed
from voicegw_sidecar.signing import FILE_NAME, signing_key


def test_it_is_made_once_and_kept(tmp_path: Path) -> None:
    key = signing_key(tmp_path)
    assert len(key) == 32
    assert signing_key(tmp_path) == key
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    other = tmp_path / "other"
    other.mkdir()
    assert signing_key(other) != key


@pytest.mark.parametrize("content", ["", "abc", "zz" * 32, "00" * 31])
def test_a_damaged_file_is_told_of_and_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content)
    with pytest.raises(StoreFailed, match="holds no key"):
        signing_key(tmp_path)
    assert (tmp_path / FILE_NAME).read_text() == content


def test_a_folder_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="cannot use"):
        signing_key(tmp_path / "nowhere")

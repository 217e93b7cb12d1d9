"""The wheel carries templates, static files, htmx, migrations and data, and works where only it is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.build.support import ROOT, selftest

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout in isolation."""
    folder = tmp_path_factory.mktemp("wheel")
    _pip("wheel", ROOT, "--no-deps", "--wheel-dir", folder)
    (built,) = folder.glob("*.whl")
    return built


def _pip(*words: object) -> None:
    command = [sys.executable, "-m", "pip", *map(str, words), "--quiet", "--disable-pip-version-check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def _files(*folders: str) -> set[str]:
    return {
        file.relative_to(ROOT).as_posix()
        for folder in folders
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_the_wheel_holds_every_file_that_is_read_at_run_time(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    assets = {f"voicegw_sidecar/_assets/{name}" for name in _files("templates", "static")}
    package = _files("voicegw_sidecar")
    assert "voicegw_sidecar/_assets/static/vendor/htmx.min.js" in assets
    assert "voicegw_sidecar/_assets/templates/base.html" in assets
    assert "voicegw_sidecar/store/migrations/0001_exchanges.sql" in package
    assert "voicegw_sidecar/data/price_supplement.json" in package
    assert not (assets | package) - held


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top.partition("-")[0] for top in tops} == {"voicegw_sidecar"}


def test_the_installed_wheel_passes_the_selftest(wheel: Path, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    _pip("install", wheel, "--no-deps", "--target", installed)
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    where = subprocess.run(
        [sys.executable, "-c", "import voicegw_sidecar; print(voicegw_sidecar.__file__)"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert where.stdout.strip() == str(installed / "voicegw_sidecar" / "__init__.py"), "the checkout hides the wheel"
    assert selftest(installed / "bin" / "voicegw-sidecar", environment=environment) >= 24

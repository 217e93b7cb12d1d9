"""The executable, built once for all tests that run it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.build.support import ROOT

INGREDIENTS = (
    "voicegw_sidecar", "templates", "static", "build/early.py", "build/notices.py", "build/pack_sound.py",
    "build/pack_images.py", "build/packing.py",
    "voicegw.spec", "pyproject.toml",
)  # fmt: skip


def _newest(path: Path) -> float:
    files = path.rglob("*") if path.is_dir() else [path]
    return max(file.stat().st_mtime for file in files if file.is_file() and "__pycache__" not in file.parts)


def _built(built: Path, *options: str) -> Path:
    """Return an executable, built if anything in it has changed since."""
    if not built.is_file() or built.stat().st_mtime < max(_newest(ROOT / name) for name in INGREDIENTS):
        result = subprocess.run(
            ["bash", ROOT / "build" / "bundle.sh", *options],
            cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        assert result.returncode == 0, result.stdout
    return built


@pytest.fixture(scope="session")
def executable() -> Path:
    """``dist/voicegw-sidecar``"""
    return _built(ROOT / "dist" / "voicegw-sidecar")


@pytest.fixture(scope="session")
def slim_executable() -> Path:
    """The same without the MCP server."""
    return _built(ROOT / "dist" / "without-mcp" / "voicegw-sidecar", "--without", "mcp")

"""The wheels that ``pip install`` needs, fetched once: where the documents' commands run there is no package index."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.docs.documents import ROOT

FOLDER = ROOT / ".cache" / "docs-wheels"


def wheels() -> Path:
    """Return a folder with the wheels of all requirements; made anew when these or the interpreter change."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    described = project["project"]
    traces = described["optional-dependencies"]["otlp"]
    wanted = [*project["build-system"]["requires"], *described["dependencies"], *traces]
    mark = hashlib.sha256(repr((sys.version, wanted)).encode()).hexdigest()
    FOLDER.parent.mkdir(exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        noted = FOLDER / "wanted"
        if not noted.is_file() or noted.read_text() != mark:
            shutil.rmtree(FOLDER, ignore_errors=True)
            pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check")
            made = subprocess.run([*pip, "--wheel-dir", FOLDER, *wanted], capture_output=True, text=True, check=False)
            assert made.returncode == 0, made.stderr
            noted.write_text(mark)
    return FOLDER

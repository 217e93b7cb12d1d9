"""Where things are, and how the self-test is run on them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def selftest(*command: object, environment: Mapping[str, str] | None = None) -> int:
    """Run ``build/selftest.py`` on a command; returns how many checks passed."""
    result = subprocess.run(
        [sys.executable, ROOT / "build" / "selftest.py", *map(str, command)],
        env=os.environ if environment is None else environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"selftest: (\d+) checks passed\n\Z", result.stdout)
    assert result.returncode == 0, result.stdout
    assert found, result.stdout
    return int(found.group(1))

"""The self-test passes on the checkout, and fails where something is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.build.support import ROOT, selftest

LIES = {
    "no version": ("exit 0", "--version"),
    "never listens": ('[ "$1" = --version ] && echo voicegw-sidecar 1.2.3 || exit 3', "ended with exit code 3"),
}


def test_the_checkout_passes() -> None:
    assert selftest(sys.executable, "-m", "voicegw_sidecar") >= 24


@pytest.mark.parametrize(("script", "complaint"), LIES.values(), ids=LIES.keys())
def test_a_broken_command_fails_in_one_line(tmp_path: Path, script: str, complaint: str) -> None:
    command = tmp_path / "voicegw-sidecar"
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    result = subprocess.run(
        [sys.executable, ROOT / "build" / "selftest.py", command], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith("selftest: failed: ")
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1


def test_it_needs_a_command() -> None:
    result = subprocess.run([sys.executable, ROOT / "build" / "selftest.py"], capture_output=True, check=False)
    assert result.returncode == 2


def test_scripts_stay_scripts() -> None:
    assert not (ROOT / "build" / "__init__.py").exists(), "a package named build hides the tool `build`"

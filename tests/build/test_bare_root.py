"""The executable in a bare Debian root, by ``build/bare_root.sh``; and that the script fails and ends as it should."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.build.support import ROOT

pytestmark = pytest.mark.timeout(400)  # the first test may have to build the executable, and make the root

SCRIPT = ROOT / "build" / "bare_root.sh"
KEPT = ROOT / ".cache" / "bare-root-bookworm.tar"
FOUND = (
    "as root: {} checks passed", "as a user without a name: {} checks passed",
    "as that user, all read-only but a tmpfs of 128 MB: {} checks passed",
    "a noexec tmpfs: exit code 127, 'failed to map segment from shared object'",
    "a tmpfs of 16 MB: exit code 255, 'Failed to extract'",
    "a tmpfs of 60 MB: 'sound.zip cannot be unpacked: No space left on device; its folder needs 100 MB in all'",
)  # fmt: skip


def missing() -> str | None:
    """Say what this machine lacks to make such a root and enter it."""
    if os.geteuid() != 0:
        return "only root can make a root folder"
    if shutil.which("debootstrap") is None and not KEPT.is_file():
        return "no debootstrap"
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True, check=False).returncode:
        return "no namespaces on this machine"
    return None


needs_a_root = pytest.mark.skipif(missing() is not None, reason=f"{missing()}")


def run(*words: object, temporary: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ if temporary is None else {**os.environ, "TMPDIR": str(temporary)}
    return subprocess.run(
        ["bash", SCRIPT, *map(str, words)], env=environment, capture_output=True, text=True, check=False
    )


@needs_a_root
def test_it_works_in_a_bare_root(executable: Path) -> None:
    ran = run(executable)
    assert (ran.returncode, ran.stderr) == (0, "")
    root, *found = (line.removeprefix("bare_root: ") for line in ran.stdout.splitlines())
    assert root.endswith("no Python, no certificates")
    checks = found[0].split()[2]
    assert int(checks) >= 24
    assert found == [line.format(checks) for line in FOUND]


@needs_a_root
def test_what_fails_the_self_test_fails_here(tmp_path: Path) -> None:
    broken = tmp_path / "voicegw-sidecar"
    broken.write_text("#!/bin/sh\necho voicegw-sidecar 1.2.3\n")
    broken.chmod(0o755)
    ran = run(broken, temporary=tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.endswith("bare_root: as root: the self-test failed; its words are above\n")
    assert "ended with exit code 0 before it listened" in ran.stderr
    assert list(tmp_path.iterdir()) == [broken]


@needs_a_root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_leaves_nothing_when_it_is_stopped(executable: Path, tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        ["bash", SCRIPT, executable], env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert "no Python" in process.stdout.readline()  # now something is mounted
        (folder,) = tmp_path.iterdir()
        os.killpg(process.pid, number)
        process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert list(tmp_path.iterdir()) == []
    assert str(folder) not in Path("/proc/mounts").read_text()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "expected one executable, found 0 words"), (("a", "b"), "expected one executable, found 2 words"),
        (("nowhere",), "nowhere is no executable file; build it with: bash build/bundle.sh"),
        ((ROOT / "README.md",), "README.md is no executable file"),
    ],
)  # fmt: skip
def test_wrong_words_are_one_line_and_exit_2(words: tuple[object, ...], complaint: str) -> None:
    ran = run(*words)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("bare_root: ")
    assert complaint in ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_plain_user_is_told() -> None:
    with tempfile.TemporaryDirectory(prefix="voicegw-test-") as name:  # the checkout may be closed to others
        Path(name).chmod(0o755)
        script = shutil.copy(SCRIPT, name)
        ran = subprocess.run(
            ["bash", script, "/bin/true"], cwd="/", user=65534, group=65534, extra_groups=[],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    told = "bare_root: only root can make a root folder and enter it; run it as root\n"
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", told)

"""The one-file executable: works, on bare machines too, and stays within its size and time."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import mcp
import pytest

from tests.build.support import ROOT, selftest
from voicegw_sidecar.mcp.server import TOOLS

pytestmark = pytest.mark.timeout(400)  # the first test may have to build it

SIZE_LIMIT_BYTES = 40_000_000
SLIM_LIMIT_BYTES = 30_000_000
"""Without the MCP server."""
UNPACKED_LIMIT_BYTES = 45_000_000
"""At the start: what converts sound stays packed until it is needed."""
VERSION_LIMIT_S = 0.3


@pytest.fixture
def foreign() -> Iterator[Path]:
    """A folder that any user may read, with ``tmp``, which any user may write."""
    with tempfile.TemporaryDirectory(prefix="voicegw-test-") as name:
        folder = Path(name)
        (folder / "tmp").mkdir()
        (folder / "tmp").chmod(0o777)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


def test_it_passes_the_selftest_with_an_empty_environment(executable: Path) -> None:
    assert selftest(executable, environment={}) >= 24


def test_it_runs_with_nothing_set_at_all(executable: Path, tmp_path: Path) -> None:
    (tmp_path / "voicegw.yaml").write_text("cost_tracking: {db_path: here.db}\n")
    result = subprocess.run([executable, "check"], cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_user_who_may_write_nowhere_but_in_tmpdir(executable: Path, foreign: Path) -> None:
    """Neither the working directory nor a home is writable."""
    foreign.chmod(0o755)
    copy = Path(shutil.copy(executable, foreign))
    foreign.chmod(0o555)
    nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    process = subprocess.Popen(
        [copy, "demo", "--port", "0", "--agents", "0"],
        cwd=foreign, env={"TMPDIR": str(foreign / "tmp")}, stdout=subprocess.PIPE, text=True, **nobody,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            found = next(filter(None, (re.search(r"http://\S+/", line) for line in process.stdout)))
            with urllib.request.urlopen(found.group(), timeout=10) as page:
                assert b"htmx.min.js" in page.read()
            (unpacked,) = (foreign / "tmp").glob("_MEI*")
            assert (unpacked / "uvloop").is_dir()
            assert (unpacked / "LICENSE").is_file()
            beside = (executable.parent / "THIRD_PARTY_NOTICES.txt").read_bytes()
            assert (unpacked / "THIRD_PARTY_NOTICES.txt").read_bytes() == beside
            assert (unpacked / "sound.zip").is_file()
            assert sum(file.stat().st_size for file in unpacked.rglob("*")) < UNPACKED_LIMIT_BYTES
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)
    assert process.returncode == 0
    assert list((foreign / "tmp").iterdir()) == []


def test_the_notices_name_everything(executable: Path) -> None:
    text = (executable.parent / "THIRD_PARTY_NOTICES.txt").read_text(encoding="utf-8")
    notices = {part.partition(" ")[0]: part for part in text.split("\n" + "=" * 78 + "\n")}
    named = {"aiohttp", "apsw", "certifi", "cffi", "htmx", "mcp", "numpy", "Python", "soundfile", "soxr", "uvloop"}
    assert named < set(notices)
    assert not {"cryptography", "uvicorn", "jsonschema"} & set(notices)
    for name in ("soundfile", "soxr"):  # libsndfile's, and libsoxr's
        assert re.search(r"GNU LESSER GENERAL PUBLIC LICENSE\s+Version 2\.1", notices[name])


def test_two_run_side_by_side(executable: Path) -> None:
    processes = [subprocess.Popen([executable, "--version"], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = {process.communicate(timeout=20)[0] for process in processes}
    assert len(answers) == 1
    assert answers.pop().startswith("voicegw-sidecar ")


def test_size(executable: Path) -> None:
    assert executable.stat().st_size < SIZE_LIMIT_BYTES


async def test_it_serves_mcp_to_the_official_client(executable: Path) -> None:
    command = mcp.StdioServerParameters(command=str(executable), args=["mcp", "--url", "http://127.0.0.1:9"])
    async with mcp.Client(command, read_timeout_seconds=30) as client:
        assert len((await client.list_tools()).tools) == len(TOOLS)
        result = await client.call_tool("health")
    assert (result.is_error, result.content[0].type) == (True, "text")
    assert "no sidecar answers at http://127.0.0.1:9" in str(result.content[0])


def test_without_mcp_it_is_slim_and_says_what_is_missing(slim_executable: Path) -> None:
    assert slim_executable.stat().st_size < SLIM_LIMIT_BYTES
    ran = subprocess.run(
        [slim_executable, "mcp"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
    )
    told = (
        "voicegw-sidecar: this executable is built without the MCP server; "
        "install it with: pip install 'voicegw-sidecar[mcp]'\n"
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", told)


@pytest.mark.parametrize(
    "words",
    [("--with", "mcp"), ("--without", "otlp"), ("--with", "otlp", "--without", "mcp"), ("--with",), ("--slim", "x")],
)
def test_wrong_words_for_the_build_are_one_line(words: tuple[str, ...]) -> None:
    ran = subprocess.run(["bash", ROOT / "build" / "bundle.sh", *words], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (1, "", 1)
    assert ran.stderr.startswith("bundle: ")


def test_version_is_quick(executable: Path) -> None:
    """One quick answer is proof; slow ones only say that the machine is busy."""
    durations: list[float] = []
    while len(durations) < 30 and min(durations, default=VERSION_LIMIT_S) >= VERSION_LIMIT_S:
        started = time.perf_counter()
        subprocess.run([executable, "--version"], check=True, capture_output=True)
        durations.append(time.perf_counter() - started)
    assert min(durations) < VERSION_LIMIT_S

"""``VOICEGW_AUTOSTART=1`` with real processes: started once, found by others, left running."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from voicegw_sidecar.inference.autostart import is_running

pytestmark = pytest.mark.timeout(120)
ASK = "from voicegw_sidecar import inference; print(inference.base_url('openai'), flush=True)"


@pytest.fixture
def environ(tmp_path: Path, unused_tcp_port: int) -> dict[str, str]:
    """An agent's environment, with a configuration of its own."""
    (tmp_path / "voicegw.yaml").write_text(f"cost_tracking: {{db_path: {tmp_path / 'voicegw.db'}}}\n")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VOICEGW_")}
    return {
        **kept,
        "HOME": str(tmp_path),
        "VOICEGW_AUTOSTART": "1",
        "VOICEGW_CONFIG": str(tmp_path / "voicegw.yaml"),
        "VOICEGW_URL": f"http://127.0.0.1:{unused_tcp_port}",
    }


@pytest.fixture
def ended(environ: dict[str, str]) -> Iterator[None]:
    """Whatever sidecar was started at the address has ended after the test."""
    yield
    for pid in _sidecars(environ["VOICEGW_URL"].rpartition(":")[2]):
        os.kill(pid, signal.SIGTERM)
    end_s = time.monotonic() + 30
    while is_running(environ["VOICEGW_URL"]):
        assert time.monotonic() < end_s
        time.sleep(0.02)


def _sidecars(port: str) -> list[int]:
    """Return the process ids of sidecars that were told this port; what they start themselves is theirs."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"voicegw_sidecar" in words and port.encode() in words:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    return [pid for pid, parent in parents.items() if parent not in parents]


def agent(environ: dict[str, str], code: str = ASK) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def said(process: subprocess.Popen[str]) -> str:
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return out.strip()


@pytest.mark.usefixtures("ended")
def test_a_sidecar_is_started_once_and_stays(environ: dict[str, str]) -> None:
    url, port = environ["VOICEGW_URL"], environ["VOICEGW_URL"].rpartition(":")[2]
    assert not is_running(url)
    workers = [agent(environ) for _ in range(3)]  # at the same moment: one of their sidecars gets the database
    assert [said(worker) for worker in workers] == [f"{url}/openai"] * 3
    assert is_running(url)
    end_s = time.monotonic() + 30
    while len(_sidecars(port)) > 1:  # those that came too late are about to say so
        assert time.monotonic() < end_s
        time.sleep(0.02)
    [pid] = _sidecars(port)
    assert said(agent(environ)) == f"{url}/openai"
    assert _sidecars(port) == [pid]
    log = Path(environ["HOME"], f".config/voicegateway/autostart-{port}.log")
    assert f"listens on {url}" in log.read_text()
    assert log.stat().st_mode & 0o777 == 0o600


def test_without_the_variable_nothing_is_started(environ: dict[str, str]) -> None:
    del environ["VOICEGW_AUTOSTART"]
    assert said(agent(environ)) == f"{environ['VOICEGW_URL']}/openai"
    assert not is_running(environ["VOICEGW_URL"])


def _failure(environ: dict[str, str]) -> str:
    process = agent(environ)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    return errors.strip().splitlines()[-1]


def test_a_sidecar_that_does_not_start_says_why(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "voicegw.yaml").write_text("project: {}\n")
    last = _failure(environ)
    assert "SidecarNotRunningError: the sidecar that VOICEGW_AUTOSTART=1 started ended with code 2: " in last
    assert "did you mean projects" in last


FAILS = """
from voicegw_sidecar import inference
for _ in range(3):
    try:
        inference.base_url("openai")
    except inference.SidecarNotRunningError as error:
        print(error)
"""


def test_a_start_that_fails_is_not_tried_again_at_once(environ: dict[str, str], tmp_path: Path) -> None:
    """A port that somebody holds who says nothing: each try would hold up an event loop."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", int(environ["VOICEGW_URL"].rpartition(":")[2])))
        held.listen()
        first, *others = said(agent(environ, FAILS)).splitlines()
    assert "ended with code" in first
    assert others == [first, first]
    [log] = tmp_path.glob(".config/voicegateway/autostart-*.log")
    assert log.read_text().count("in use") == 1


@pytest.mark.parametrize("trouble", ["no home", "a pipe", "not writable"])
def test_a_log_that_cannot_be_kept_keeps_nothing_from_starting(
    environ: dict[str, str], tmp_path: Path, trouble: str, ended: None
) -> None:
    port = environ["VOICEGW_URL"].rpartition(":")[2]
    if trouble == "no home":
        environ["HOME"] = ""
    elif trouble == "a pipe":
        (tmp_path / ".config/voicegateway").mkdir(parents=True)
        os.mkfifo(tmp_path / f".config/voicegateway/autostart-{port}.log")
    else:
        environ["HOME"] = "/proc"
    assert said(agent(environ)) == f"{environ['VOICEGW_URL']}/openai"
    assert not (Path.cwd() / "~").exists()


BLOCKED = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); " + ASK


@pytest.mark.usefixtures("ended")
def test_a_sidecar_can_be_ended_whatever_its_starter_had_blocked(environ: dict[str, str]) -> None:
    """The fixture ends it by SIGTERM."""
    assert said(agent(environ, BLOCKED)) == f"{environ['VOICEGW_URL']}/openai"


DIES = """
import asyncio, os, pathlib, signal, time
from voicegw_sidecar import inference
from voicegw_sidecar.inference.autostart import is_running
inference.base_url("openai")
def parent(folder):
    return int((folder / "stat").read_text().rpartition(")")[2].split()[1])
[pid] = [int(one.name) for one in pathlib.Path("/proc").glob("[0-9]*") if parent(one) == os.getpid()]
os.kill(pid, signal.SIGTERM)
while is_running(os.environ["VOICEGW_URL"]):
    time.sleep(0.02)
while pathlib.Path(f"/proc/{pid}").exists():  # nobody's zombie
    time.sleep(0.02)
try:
    asyncio.run(inference.open_session().__aenter__())
except inference.SessionRefusedError as error:
    print(error.code, flush=True)
"""


@pytest.mark.usefixtures("ended")
def test_a_sidecar_that_has_died_is_started_again_for_the_next_session(environ: dict[str, str]) -> None:
    assert said(agent(environ, DIES)) == "no_route"


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "http://192.0.2.1:1", "http://127.0.0.1:1/behind"])
def test_only_a_sidecar_of_this_machine_is_started(environ: dict[str, str], url: str) -> None:
    if "192" in url:
        environ["VOICEGW_URL"] = "http://voice.invalid:1"
    else:
        environ["VOICEGW_URL"] = url
    last = _failure(environ)
    assert "ValueError: VOICEGW_AUTOSTART starts a sidecar at an address of this machine" in last

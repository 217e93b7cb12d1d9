"""A machine of the reader's own, as far as this one allows it: its loopback network, and its system's folders.

In a network namespace 127.0.0.1:8080 is free, whatever runs beside the test. With a mount namespace, which only root
gets, what is written to /etc, /var and /usr/local/bin lies in memory above the real folders and ends with it.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec import Struct

SYSTEM_FOLDERS = ("/etc", "/var", "/usr/local/bin")
PORTS = (8080, 8081, 9100)
"""What the documents listen on."""
_KEEPER = """
import fcntl, os, socket, struct, subprocess, sys
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
    fcntl.ioctl(asked, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))
above, *folders = sys.argv[1:]
if folders:
    subprocess.run(["mount", "-t", "tmpfs", "voicegw-docs", above], check=True)
for number, folder in enumerate(folders):
    changed, work = f"{above}/{number}/changed", f"{above}/{number}/work"
    os.makedirs(changed)
    os.makedirs(work)
    options = f"lowerdir={folder},upperdir={changed},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "voicegw-docs", folder], check=True)
print("kept", flush=True)
sys.stdin.read()
"""
"""Brings the loopback up, covers the folders, and keeps the namespaces until its input ends."""


class Machine(Struct, frozen=True):
    """Where commands run: ``inside`` stands before each, and ``lacks`` says what is not private here and why."""

    inside: tuple[str, ...]
    has_own_folders: bool
    lacks: str = ""


class _Namespaces(Struct, frozen=True):
    entered: tuple[str, ...]
    left_out: str


_KINDS = (
    _Namespaces(("--net", "--mount"), ""),
    _Namespaces(("--net",), "the system's folders are shared"),
    _Namespaces(("--user", "--map-root-user", "--net"), "the system's folders are shared"),
)
"""What is tried, the most private first."""


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Yield the most private machine there is here; ``folder`` is an empty one of this machine's own."""
    refusals: list[str] = []
    is_covered = any(folder.resolve().is_relative_to(path) for path in SYSTEM_FOLDERS)
    kinds = _KINDS[1:] if is_covered else _KINDS  # what is written to a covered folder is not seen from here
    for kind in kinds if shutil.which("unshare") and shutil.which("nsenter") else ():
        with _kept(kind, folder) as (keeper, refusal):
            if refusal is None:
                yield _entered(kind, keeper.pid, "; ".join(filter(None, (kind.left_out, *refusals))))
                return
            refusals.append(refusal)
    why = "; ".join(refusals) or "no unshare or no nsenter; install util-linux"
    taken = [port for port in PORTS if not _is_free(port)]
    if taken:
        pytest.skip(f"no network of its own ({why}), and ports that the documents listen on are taken here: {taken}")
    yield Machine((), False, f"network and folders are shared: {why}")


@contextmanager
def _kept(kind: _Namespaces, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str | None]]:
    """Start the process that keeps the namespaces; yields it, or why there are none."""
    covered = SYSTEM_FOLDERS if "--mount" in kind.entered else ()
    keeper = subprocess.Popen(
        ["unshare", *kind.entered, sys.executable, "-I", "-c", _KEEPER, folder, *covered],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with keeper:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        assert keeper.stderr is not None
        if keeper.stdout.readline() == "kept\n":
            yield keeper, None
        else:
            said = keeper.stderr.read().strip().splitlines() or ["nothing was said"]
            yield keeper, f"unshare {' '.join(kind.entered)}: {said[-1]}"
        keeper.stdin.close()


def _entered(kind: _Namespaces, pid: int, lacks: str) -> Machine:
    names = [option for option in kind.entered if option != "--map-root-user"]
    credentials = ["--preserve-credentials"] if "--user" in names else []
    return Machine(("nsenter", f"--target={pid}", *names, *credentials, "--"), "--mount" in names, lacks)


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

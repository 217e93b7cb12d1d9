"""The sidecar of ``run``: the one that listens already, or one of its own, started as a fresh process and stopped."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from voicegw_sidecar.cli.listener import address_of, health, readiness
from voicegw_sidecar.config import Config
from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.terms import NS_PER_S

_START_LIMIT_S = 60.0
_LOOK_EVERY_S = 0.1
_STOP_GRACE_S = 15.0
"""How much longer than its drain limit a sidecar may take to stop: rows are written, pages and sockets closed."""
_LISTENS = re.compile(rb"listens on http://\S+:(\d+)\s")
_OF_THE_EXECUTABLE = re.compile("_PYI_|_MEIPASS2$|PYINSTALLER_")


class Stopped(Exception):
    """A signal came before there was an agent."""


class NotStarted(SidecarError):
    """The sidecar ended before it listened; it has said why itself."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("the sidecar did not start; its own words are above")
        self.exit_code = exit_code


def outer_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment as it was before the one-file executable changed it for itself; else the same.

    PyInstaller's own names would make another start reuse this one's files, and its library path is for this
    program's libraries only: https://pyinstaller.org/en/stable/common-issues-and-pitfalls.html (read 2026-11-29).
    """
    if not getattr(sys, "frozen", False):
        return dict(environ)
    found = {name: value for name, value in environ.items() if not _OF_THE_EXECUTABLE.match(name)}
    found.pop("LD_LIBRARY_PATH", None)
    original = found.pop("LD_LIBRARY_PATH_ORIG", None)
    return found if original is None else {**found, "LD_LIBRARY_PATH": original}


def listening(config: Config) -> str | None:
    """Return the address of the sidecar that listens already where one is configured to; None where none does."""
    if config.serve.port == 0:
        return None
    address = address_of(config.serve.host, config.serve.port)
    if health(address) is None:
        return None
    ready = readiness(address)
    if ready is None or ready.status == "unready":
        reasons = ", ".join(ready.reasons) if ready else "it does not say why"
        raise SidecarError(f"the sidecar at {address} takes no work: {reasons}; wait for it or choose another --port")
    return address


class OwnSidecar:
    """A sidecar process; ``start`` it, and ``stop`` it whatever happens between."""

    def __init__(self, options: Sequence[str], config: Config, environ: Mapping[str, str]) -> None:
        self._options, self._config, self._environ = options, config, environ
        self._process: subprocess.Popen[bytes] | None = None
        self.has_ended = False
        self._is_told = False

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def start(self, is_stopping: Callable[[], bool]) -> str:
        """Start it and return its address once it takes work; raises `NotStarted`, or `Stopped` when told to stop."""
        is_frozen = getattr(sys, "frozen", False)
        # -P: no module of the folder that the agent is in takes the place of one of the sidecar's
        itself = [sys.executable] if is_frozen else [sys.executable, "-P", "-m", "voicegw_sidecar"]
        fresh = {"PYINSTALLER_RESET_ENVIRONMENT": "1"} if is_frozen else {}
        self._process = subprocess.Popen(  # noqa: S603 - this very program
            [*itself, "serve", *self._options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env={**self._environ, **fresh},
            start_new_session=True,  # Ctrl-C and a closed terminal are the agent's; it goes when the agent has gone
        )  # fmt: skip
        port = self._announced(self._process, is_stopping)
        return address_of(self._config.serve.host, port)

    def _announced(self, process: subprocess.Popen[bytes], is_stopping: Callable[[], bool]) -> int:
        """Wait for the line that says where it listens; return the port."""
        assert process.stdout is not None
        said, end_ns = b"", time.monotonic_ns() + int(_START_LIMIT_S * NS_PER_S)
        while (found := _LISTENS.search(said)) is None:
            if is_stopping():
                raise Stopped
            if time.monotonic_ns() > end_ns:
                raise SidecarError(f"the sidecar does not listen after {_START_LIMIT_S:.0f} s; see its log above")
            if not select.select([process.stdout], [], [], _LOOK_EVERY_S)[0]:
                continue
            piece = os.read(process.stdout.fileno(), 4096)
            if not piece:
                raise NotStarted(max(self.note_end(), 1))
            said += piece
        return int(found.group(1))

    def note_end(self) -> int:
        """Take note that it has ended; return its exit code, negative for a signal."""
        assert self._process is not None
        self.has_ended = True
        return self._process.wait()

    def is_gone(self) -> bool:
        """Say whether it has ended and nobody has taken note of it."""
        return not self.has_ended and self._process is not None and self._process.poll() is not None

    def hurry(self) -> None:
        """Tell it to stop; a second time it does not wait for what still runs."""
        if self._process is not None and not self.has_ended:
            # by another signal the second time: the same one, at once, would be taken for an echo of the first; noted
            # before it is sent, for a signal of ours may come in between and tell it again
            number, self._is_told = signal.SIGINT if self._is_told else signal.SIGTERM, True
            self._process.send_signal(number)

    def stop(self) -> None:
        """Tell it to stop, and wait until it has: what still runs is finished first, within its drain limit."""
        if self._process is None or self.has_ended:
            return
        self.hurry()
        try:
            self._process.wait(self._config.serve.drain_seconds + _STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"voicegw-sidecar: the sidecar, process {self.pid}, does not stop; it is killed\n")
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait()
        self.has_ended = True
        if self._process.stdout is not None:
            self._process.stdout.close()

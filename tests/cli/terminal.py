"""A command on a terminal of its own, as a person has it: typed into, read from, with Ctrl-C and Ctrl-Z."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

CTRL_C, CTRL_D, CTRL_Z = "\x03", "\x04", "\x1a"
_LIMIT_S = 20.0
_AGAIN_S = 1.0
_OWN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)


class OnTerminal:
    """A running command; ``seen`` is all it has shown."""

    def __init__(self, process: subprocess.Popen[bytes], master_fd: int) -> None:
        self.process, self._master_fd, self.seen = process, master_fd, ""
        self._read_up_to = 0

    def type(self, text: str) -> None:
        os.write(self._master_fd, text.encode())

    def until(self, text: str) -> str:
        """Read until a text is shown that was not waited for before; return what came with it."""
        end = time.monotonic() + _LIMIT_S
        while (found := self.seen.find(text, self._read_up_to)) < 0:
            assert self._read(end), f"{text!r} is not shown, but: {self.seen[self._read_up_to :]}"
        start, self._read_up_to = self._read_up_to, found + len(text)
        return self.seen[start : self._read_up_to]

    def end(self) -> int:
        """Read to the end and return the exit code."""
        end = time.monotonic() + _LIMIT_S
        while self._read(end):
            pass
        return self.process.wait(_LIMIT_S)

    def interrupted(self) -> int:
        """Type Ctrl-C until it ends, and return the exit code.

        One that comes between Python's prompt and its read is noticed only with the next key: people press it again.
        """
        for _ in range(round(_LIMIT_S / _AGAIN_S)):
            self.type(CTRL_C)
            end = time.monotonic() + _AGAIN_S
            while self._read(end):
                pass
            if self.process.poll() is not None:
                break
        return self.process.wait(_LIMIT_S)

    def _read(self, end: float) -> bool:
        left = end - time.monotonic()
        if left <= 0 or not select.select([self._master_fd], [], [], left)[0]:
            return False
        try:
            piece = os.read(self._master_fd, 4096)
        except OSError:  # how Linux says that nobody has the other side open any more
            return False
        self.seen += piece.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(piece)


@contextmanager
def on_terminal(*command: str, cwd: Path, environ: Mapping[str, str]) -> Iterator[OnTerminal]:
    """Run a command as the leader of a session with a terminal."""
    master_fd, slave_fd = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _OWN_TERMINAL, *command], cwd=cwd, env={**os.environ, **environ},
        stdin=slave_fd, stdout=slave_fd, stderr=slave_fd, start_new_session=True,
    )  # fmt: skip
    os.close(slave_fd)
    try:
        yield OnTerminal(process, master_fd)
    finally:
        process.kill()
        process.wait()
        os.close(master_fd)

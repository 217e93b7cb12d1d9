"""Where a document's commands run, word for word: a folder and a home, the check environment's programs, and time.

A command that ends is waited for; one that runs until it is stopped stays while the next ones run, until another of its
kind takes its place or the document is over. Nothing outlives the workshop.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.docs.machine import Machine, machine

PROGRAMS = Path(sys.executable).parent
KEY = "sk-of-a-reader-0123456789"
"""Stands where the documents have ``…`` for a key; no command may ever show it."""
_ENDS_S, _STARTS_S, _LOOK_EVERY_S = 120.0, 120.0, 0.02
_SUDO = '#!/bin/sh\nexec env -- "$@"\n'


class Ended:
    """A command that has ended: its exit code, and what it said."""

    def __init__(self, text: str, code: int, out: str, err: str) -> None:
        self.text, self.code, self.out, self.err = text, code, out, err

    def __str__(self) -> str:
        return f"$ {self.text}\n{self.out}{self.err}[exit code {self.code}]"


class Running:
    """A command that runs until it is stopped; ``said`` is everything it has said so far."""

    def __init__(self, text: str, process: subprocess.Popen[bytes], output: Path) -> None:
        self.text, self._process, self._output = text, process, output

    @property
    def said(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    def says(self, pattern: str) -> str:
        """Wait until it has said something; returns that."""
        end = time.monotonic() + _STARTS_S
        while (found := re.search(pattern, self.said, re.MULTILINE)) is None:
            assert self._process.poll() is None, f"$ {self.text}\n{self.said}ended before it said {pattern!r}"
            assert time.monotonic() < end, f"$ {self.text}\n{self.said}has not said {pattern!r}"
            time.sleep(_LOOK_EVERY_S)
        return found[0]

    def stop(self) -> None:
        """Press Ctrl-C: all processes of the command get it, and it ends in order."""
        assert self._process.poll() is None, f"$ {self.text}\n{self.said}ended by itself"
        os.killpg(self._process.pid, signal.SIGINT)
        code = self._process.wait(_ENDS_S)
        assert (code, "Traceback" in self.said) == (0, False), f"$ {self.text}\n{self.said}[exit code {code}]"

    def kill(self) -> None:
        """End whatever is left of it."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(_ENDS_S)


class Workshop:
    """A reader's folder, home and shell on a machine."""

    def __init__(self, root: Path, machine: Machine) -> None:
        self.machine, self.root = machine, root
        self.folder, self.home = root / "agent", root / "home"
        self.variables: dict[str, str] = {}
        self.running: dict[str, Running] = {}
        """By what each is: a sidecar, a second one, simulated providers."""
        for folder in (self.folder, self.home, root / "bin"):
            folder.mkdir()
        if machine.has_own_folders:  # where somebody is root already, sudo only says so
            (root / "bin" / "sudo").write_text(_SUDO)
            (root / "bin" / "sudo").chmod(0o755)

    def run(self, text: str) -> Ended:
        """Run a command to its end; it shows no key."""
        ended = self._ended(text)
        self._secret(ended.out + ended.err)
        return ended

    def _ended(self, text: str) -> Ended:
        process = self._started(text, subprocess.PIPE, subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=_ENDS_S)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        return Ended(text, process.returncode, out.decode(), err.decode())

    def start(self, text: str, kind: str, says: str) -> Running:
        """Start a command that runs until it is stopped, in the place of the one of its kind; wait for what it says."""
        self.stop(kind)
        output = self.root / f"{kind}.txt"
        with output.open("wb") as file:
            running = Running(text, self._started(text, file.fileno(), subprocess.STDOUT), output)
        try:
            running.says(says)
        except BaseException:
            running.kill()
            raise
        self.running[kind] = running
        return running

    def stop(self, kind: str) -> None:
        """Stop what runs of a kind, if anything does."""
        running = self.running.pop(kind, None)
        if running is not None:
            try:
                running.stop()
            finally:
                running.kill()
            self._secret(running.said)

    def export(self, text: str) -> None:
        """Run ``export …``, and keep what it sets for the commands that follow."""
        ended = self._ended(f"{text}\nenv -0")
        found = dict(pair.split("=", 1) for pair in ended.out.split("\0") if "=" in pair)
        assert ended.code == 0, text
        self.variables |= {name: found[name] for name in re.findall(r"(\w+)=", text)}

    def close(self) -> None:
        """Stop everything in order; kill what does not obey."""
        try:
            for kind in list(self.running)[::-1]:
                self.stop(kind)
        finally:
            for running in self.running.values():
                running.kill()

    def _started(self, text: str, out: int, err: int) -> subprocess.Popen[bytes]:
        command = (*self.machine.inside, "env", "-C", str(self.folder), "bash", "-c", text)
        return subprocess.Popen(
            command, env=self._environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=err, process_group=0
        )

    def _environment(self) -> Mapping[str, str]:
        path = f"{self.root / 'bin'}:{PROGRAMS}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        return {"HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8", **self.variables}

    def _secret(self, said: str) -> None:
        assert KEY not in said, "a key is shown"


@contextmanager
def workshop() -> Iterator[Workshop]:
    """Yield a workshop on a machine of its own; its folder is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="voicegw-docs-") as name:
        root = Path(name)
        (root / "above").mkdir()
        with machine(root / "above") as found:
            opened = Workshop(root, found)
            try:
                yield opened
            finally:
                opened.close()

"""The agent of ``run``: a process that gets signals, the terminal and its exit code as if it had been started directly.

It is the leader of a process group of its own, which is given the terminal: what is typed (Ctrl-C, Ctrl-Z) reaches it
once, by the kernel, and what is sent to ``run`` reaches it once, forwarded. Waits without threads: signals are handled
between two waits.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
NOT_EXECUTABLE, NOT_FOUND, BY_SIGNAL = 126, 127, 128
_NEEDS_TERMINAL = (signal.SIGTTIN, signal.SIGTTOU)


class Signals:
    """Takes the signals that are the agent's. Those that come before there is an agent are kept; ``first`` is one."""

    def __init__(self) -> None:
        self.first: signal.Signals | None = None
        self._take: Callable[[signal.Signals], None] = self._keep

    def _keep(self, number: signal.Signals) -> None:
        self.first = self.first or number

    def give_to(self, take: Callable[[signal.Signals], None]) -> None:
        """Hand every signal from now on, and the one that was kept, to ``take``."""
        self._take = take
        kept, self.first = self.first, None
        if kept is not None:
            take(kept)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._take(signal.Signals(number))

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take them for a while; what was ignored when we were started (as by ``nohup``) stays so, for both."""
        before = {
            number: signal.signal(number, self._handle)
            for number in FORWARDED
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class Terminal:
    """The terminal that controls us, if there is one: whose group may read it and gets what is typed."""

    def __init__(self) -> None:
        self._fd: int | None = None
        with contextlib.suppress(OSError):
            self._fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)

    def is_of(self, group: int) -> bool:
        """Say whether a group has it."""
        if self._fd is None:
            return False
        with contextlib.suppress(OSError):
            return os.tcgetpgrp(self._fd) == group
        return False

    def pass_on(self, source: int, target: int) -> None:
        """Give it from one group to another; where another has it, it stays there."""
        if self._fd is None or not self.is_of(source):
            return
        # who gives it from behind would be stopped for that
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        try:
            with contextlib.suppress(OSError):  # that group has gone meanwhile
                os.tcsetpgrp(self._fd, target)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTTOU})

    @property
    def is_there(self) -> bool:
        """Say whether there is one."""
        return self._fd is not None

    def close(self) -> None:
        """Let go of it."""
        if self._fd is not None:
            os.close(self._fd)


class Agent:
    """The running agent. ``on_other`` is told the ids of other children that have ended."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], on_other: Callable[[int], None]) -> None:
        self._on_other = on_other
        self._terminal = Terminal()
        self._is_over = False
        try:
            self._process = subprocess.Popen(command, env=environ, process_group=0)  # noqa: S603 - what the user asks for
        except OSError:
            self._terminal.close()
            raise
        self._terminal.pass_on(os.getpgrp(), self._process.pid)

    def forward(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if not self._is_over:
            os.kill(self._process.pid, number)

    def wait(self) -> int:
        """Wait for its end; return its exit code, 128 and the signal's number where one ended it."""
        while True:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
            assert found is not None  # only with WNOHANG there may be none
            if found.si_code in (os.CLD_STOPPED, os.CLD_TRAPPED):
                os.waitid(os.P_PID, found.si_pid, os.WSTOPPED | os.WNOHANG)
                if found.si_pid == self._process.pid:
                    self._stopped(signal.Signals(found.si_status))
            elif found.si_pid == self._process.pid:
                return self._ended()
            else:
                self._on_other(found.si_pid)

    def _ended(self) -> int:
        self._is_over = True
        code = self._process.wait()
        self._terminal.pass_on(self._process.pid, os.getpgrp())
        self._terminal.close()
        return code if code >= 0 else BY_SIGNAL - code

    def _stopped(self, number: signal.Signals) -> None:
        """It was stopped: stop with it, so that the shell takes the terminal back, and go on when it does."""
        ours, its = os.getpgrp(), self._process.pid
        if not self._terminal.is_there:
            return  # whoever stopped it lets it go on
        is_reading = number in _NEEDS_TERMINAL and (self._terminal.is_of(ours) or self._terminal.is_of(its))
        if not is_reading:
            self._terminal.pass_on(its, ours)
            os.killpg(ours, signal.SIGTSTP)  # here we stay until the shell says otherwise
        self._terminal.pass_on(ours, its)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(its, signal.SIGCONT)

"""Which process of this machine is at the other end of a connection, from the kernel's own table. Linux only.

The table is read on a thread of its own, once per connection: it takes milliseconds, and no call waits for it.
Elsewhere, and for a process of another user or container, the answer is that it cannot be seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from voicegw_sidecar.stitching import Process

WAITING_LIMIT = 256
"""Connections looked up or waiting to be; beyond, a caller stays unseen."""
KNOWN_LIMIT = 1024
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_ESTABLISHED = "01"

ProcessKey = tuple[int, str]
"""Process id and when it started, so that an id used again is another process."""


class Processes:
    """Finds callers; used on the event loop, `close` it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="processes")
        self._known: OrderedDict[ProcessKey, Process] = OrderedDict()
        self._waiting = 0

    def find(self, peer_port: int, own_port: int, found: Callable[[Process | None], None]) -> None:
        """Look for the process that holds the other end of a loopback connection; tell it, or None, once it is over."""
        if self._waiting >= WAITING_LIMIT:
            found(None)
            return
        loop = asyncio.get_running_loop()
        guesses = [pid for pid, _ in reversed(self._known)]
        future = loop.run_in_executor(self._thread, process_of, peer_port, own_port, guesses)
        self._waiting += 1
        future.add_done_callback(lambda done: self._found(done, found))

    def _found(self, done: asyncio.Future[ProcessKey | None], found: Callable[[Process | None], None]) -> None:
        self._waiting -= 1
        key = None if done.cancelled() or done.exception() is not None else done.result()
        if key is None:
            found(None)
            return
        process = self._known.pop(key, None) or Process()
        self._known[key] = process
        if len(self._known) > KNOWN_LIMIT:
            self._known.popitem(last=False)
        found(process)

    def close(self) -> None:
        """End the thread; what it was looking for stays unseen."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def process_of(peer_port: int, own_port: int, guesses: list[int]) -> ProcessKey | None:
    """Return the process at the other end; ``guesses`` are process ids that are tried before all others."""
    inode = _inode(peer_port, own_port)
    if inode is None:
        return None
    link = f"socket:[{inode}]"
    tried = set()
    for pid in (*guesses, *_process_ids()):
        if pid not in tried:
            tried.add(pid)
            if _holds(pid, link):
                return _key(pid)
    return None


def _inode(peer_port: int, own_port: int) -> str | None:
    """Return the inode of the peer's socket: the one whose own port is its and whose remote port is ours."""
    local, remote = f":{peer_port:04X}", f":{own_port:04X}"
    for table in _TABLES:
        with contextlib.suppress(OSError), Path(table).open(encoding="ascii", errors="replace") as lines:
            for line in lines:
                if local in line and remote in line:
                    fields = line.split()
                    ends = fields[1].endswith(local) and fields[2].endswith(remote)
                    if ends and fields[3] == _ESTABLISHED and fields[9] != "0":
                        return fields[9]
    return None


def _process_ids() -> list[int]:
    with contextlib.suppress(OSError):
        return sorted((int(name) for name in os.listdir("/proc") if name.isdigit()), reverse=True)
    return []


def _holds(pid: int, link: str) -> bool:
    folder = f"/proc/{pid}/fd"
    try:
        descriptors = os.listdir(folder)
    except OSError:  # it ended, or is another user's
        return False
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            if os.readlink(f"{folder}/{descriptor}") == link:
                return True
    return False


def _key(pid: int) -> ProcessKey | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    return pid, stat.rpartition(")")[2].split()[19]

"""The process that draws pages, so that none of it takes the interpreter from the calls.

It is forked before the sidecar has a thread, a socket or a file of its own, and shares what is imported by then. It has
its own read-only connection to the database, a low priority, and one thing to listen to: the socket to its parent. It
ends with it. Jobs come one after the other; what is sent is pickled, and both ends are ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import os
import pickle
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import apsw
import jinja2

from voicegw_sidecar import errors, tasks
from voicegw_sidecar.errors import SidecarError, StoreFailed
from voicegw_sidecar.store.database import open_for_reading
from voicegw_sidecar.web.chrome import Chrome
from voicegw_sidecar.web.templates import options, prepare

logger = logging.getLogger(__name__)

WAITING_LIMIT = 64
"""Pages that may wait to be drawn; one more is told to come again."""
QUERY_LIMIT_S = 5.0
"""How long the queries of one page may take; then it says so, and the next one is drawn."""
_NICENESS = 19  # with 10 a page still takes its slice from a call on the same core: 2 ms more at the 99th percentile
_STEPS = 500  # of SQLite's machine between two looks at the time: some tens of microseconds
_WORK_S, _REST_S = 0.000_4, 0.000_05
"""After so long it rests, so that a call on the same core that became ready meanwhile goes on.

The scheduler lets even the lowest priority finish its slice, which is two milliseconds and more of that call.
"""
_HEAD = struct.Struct("!I")
_STOP_S = 2.0
_PR_SET_PDEATHSIG, _PR_SET_TIMERSLACK = 1, 29
_SLACK_NS = 1_000  # usually a rest may take as long again


class Job(NamedTuple):
    """One page: its template, what is around it, and the function that asks the database; all of it can be pickled.

    Without a template the function returns the bytes themselves.
    """

    template: str | None
    chrome: Chrome | None
    build: Callable[..., Any]
    args: tuple[object, ...]


class ProcessGone(Exception):
    """The process has ended: a page is drawn without it."""


class TooManyPages(SidecarError):
    """More pages wait to be drawn than may wait."""

    code = "busy"
    status = 503
    retry_helps = True
    headers = (("Retry-After", "1"),)


def carried_out(
    connection: apsw.Connection, environment: jinja2.Environment, job: Job, pause: Callable[[], None] = lambda: None
) -> bytes:
    """Ask the database and render; ``pause`` is called again and again meanwhile."""
    page = job.build(connection, *job.args)
    if job.template is None:
        assert isinstance(page, bytes)
        return page
    pieces = []
    for piece in environment.get_template(job.template).generate(chrome=job.chrome, page=page):
        pieces.append(piece)
        pause()
    return "".join(pieces).encode()


class PageProcess:
    """The parent's end: made by `forked` before there is a loop, used on the loop, closed at the end."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self._pid = pid
        self._connection = connection
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: deque[asyncio.Future[tuple[str, Any]]] = deque()
        self._reading: asyncio.Task[None] | None = None
        self._is_gone = False
        self._is_closing = False

    @classmethod
    def forked(cls) -> PageProcess:
        """Start the process; only while this one has a single thread."""
        ours, theirs = socket.socketpair()
        gc.collect()
        gc.freeze()  # no collection touches what is shared: a page that is touched is copied
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            ours.close()
            _live(theirs, parent)
        theirs.close()
        return cls(pid, ours)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._pid

    async def open(self) -> None:
        """Begin to use it on the running loop."""
        self._connection.setblocking(False)
        reader, self._writer = await asyncio.open_unix_connection(sock=self._connection)
        self._reading = tasks.spawn(self._read(reader), name="page process")

    async def carry_out(self, job: Job, path: str, zone: str) -> bytes:
        """Draw a page; raises what it refuses with, `TooManyPages`, and `ProcessGone`."""
        if self._is_gone or self._writer is None:
            raise ProcessGone
        if len(self._waiting) >= WAITING_LIMIT:
            raise TooManyPages("too many pages wait to be drawn at the moment; try again")
        answer: asyncio.Future[tuple[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        sent = pickle.dumps((path, zone, job))
        self._writer.write(_HEAD.pack(len(sent)) + sent)
        kind, found = await answer
        if kind == "page":
            assert isinstance(found, bytes)
            return found
        raise _raised(kind, found)

    async def close(self) -> None:
        """End it."""
        self._is_closing = True
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        else:
            self._connection.close()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await asyncio.to_thread(self.reap)

    def reap(self) -> None:
        """Wait for its end, and make sure of it."""
        deadline = time.monotonic() + _STOP_S
        with contextlib.suppress(ChildProcessError, ProcessLookupError):
            while os.waitpid(self._pid, os.WNOHANG) == (0, 0):
                if time.monotonic() > deadline:
                    os.kill(self._pid, signal.SIGKILL)
                    os.waitpid(self._pid, 0)
                    return
                time.sleep(0.01)

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                (length,) = _HEAD.unpack(await reader.readexactly(_HEAD.size))
                # the other end is this program: what it sends is what it was told to make
                answer = pickle.loads(await reader.readexactly(length))  # noqa: S301
                waiting = self._waiting.popleft()
                if not waiting.done():  # else whoever asked is gone
                    waiting.set_result(answer)
        except (asyncio.IncompleteReadError, OSError):
            if not self._is_closing:
                logger.warning("the process that draws pages has ended; pages are drawn beside the calls from now on")
        finally:
            self._is_gone = True
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_exception(ProcessGone())


def _raised(kind: str, found: Any) -> Exception:
    if kind == "refused":
        name, message = found
        return getattr(errors, name)(message)  # type: ignore[no-any-return]  # one of its classes
    if kind == "slow":
        return StoreFailed(f"this took the database more than {QUERY_LIMIT_S:.0f} s; ask for less, such as one project")
    logger.error("page failed", extra={"error": found})
    if kind == "database":
        return StoreFailed("the database cannot be read at the moment; see the sidecar's log and /ready")
    return SidecarError("the sidecar failed at this page; its log names the place")


def _live(connection: socket.socket, parent: int) -> None:
    """Be the process: never returns."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # they are for the sidecar, and this one ends with it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # also where the sidecar is killed
        ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, _SLACK_NS)
        if os.getppid() == parent:
            os.nice(_NICENESS)
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(nowhere, stream)
            _Drawer(connection).work()
        code = 0
    finally:
        os._exit(code)


class _Drawer:
    """The process's own end."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rwb")
        self._connections: dict[str, apsw.Connection] = {}
        self._environments: dict[str, jinja2.Environment] = {}
        self._until_s = 0.0
        self._rest_at_s = 0.0

    def work(self) -> None:
        while len(head := self._stream.read(_HEAD.size)) == _HEAD.size:
            path, zone, job = pickle.loads(self._stream.read(_HEAD.unpack(head)[0]))  # noqa: S301 - see above
            sent = pickle.dumps(self._answer(path, zone, job))
            self._stream.write(_HEAD.pack(len(sent)) + sent)
            self._stream.flush()

    def _answer(self, path: str, zone: str, job: Job) -> tuple[str, object]:
        self._until_s = time.monotonic() + QUERY_LIMIT_S
        try:
            return "page", carried_out(self._connection(path), self._environment(zone), job, self._pause)
        except apsw.InterruptError:
            return "slow", None
        except SidecarError as error:
            return "refused", (type(error).__name__, error.message)
        except apsw.Error as error:
            return "database", type(error).__name__
        except Exception as error:  # one page that fails takes no other with it
            return "failed", f"{type(error).__name__} in {job.template}"

    def _pause(self) -> None:
        if time.monotonic() > self._rest_at_s:
            time.sleep(_REST_S)
            self._rest_at_s = time.monotonic() + _WORK_S

    def _is_too_long(self) -> bool:
        self._pause()
        return time.monotonic() > self._until_s

    def _connection(self, path: str) -> apsw.Connection:
        if path not in self._connections:
            connection = open_for_reading(Path(path))
            connection.set_progress_handler(self._is_too_long, _STEPS)
            self._connections[path] = connection
        return self._connections[path]

    def _environment(self, zone: str) -> jinja2.Environment:
        if zone not in self._environments:
            self._environments[zone] = prepare(jinja2.Environment(**options()), ZoneInfo(zone))  # noqa: S701 - `options` has it
        return self._environments[zone]

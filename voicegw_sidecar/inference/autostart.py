"""``VOICEGW_AUTOSTART=1``: the sidecar is started where it does not run yet.

It stays when the agent ends: other workers of this machine may use it, and a call must not lose it. It logs to a file
of its own: on the agent's stderr it would hold up whoever waits for the end of that.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import stat
import sys
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from voicegw_sidecar.inference.errors import SidecarNotRunningError

if TYPE_CHECKING:
    import subprocess

logger = logging.getLogger(__name__)

_START_LIMIT_S = 20.0
_OTHERS_LIMIT_S = 5.0
"""For a sidecar that another worker is starting."""
_LOOK_EVERY_S = 0.02
_ASK_LIMIT_S = 0.5
_AGAIN_AFTER_S = 30.0
"""A start that failed is told again, and not tried again, so long: trying holds up an event loop."""
_TAKEN = 1
"""How a sidecar ends that finds its database in use, by another worker's that is coming up perhaps."""
_LOG_MOST_BYTES = 4 * 1024 * 1024
_LOG_TOLD_BYTES = 2000


class _Failure(NamedTuple):
    message: str
    at_s: float


_found: set[str] = set()
"""Addresses at which a sidecar was seen to run; asked once a process."""
_failed: dict[str, _Failure] = {}


def ensure_running(url: str) -> str:
    """Return the address, where ``VOICEGW_AUTOSTART`` is 1 only once a sidecar answers there.

    Blocks for the half second or so that a start takes, once a process. Raises `SidecarNotRunningError` where it
    does not come up, `ValueError` for an address at which none can be started.
    """
    if os.environ.get("VOICEGW_AUTOSTART") != "1" or url in _found:
        return url
    failure = _failed.get(url)
    if failure is not None and time.monotonic() - failure.at_s < _AGAIN_AFTER_S:
        raise SidecarNotRunningError(failure.message)
    if not is_running(url):
        parts = urlsplit(url)
        if parts.scheme != "http" or not _is_of_this_machine(parts.hostname or "") or parts.path:
            raise ValueError(
                "VOICEGW_AUTOSTART starts a sidecar at an address of this machine such as http://127.0.0.1:8080, "
                "without TLS and path; VOICEGW_URL is another"
            )
        try:
            _start(url, parts.hostname or "", parts.port or 80)
        except SidecarNotRunningError as error:
            _failed[url] = _Failure(str(error), time.monotonic())
            raise
    _found.add(url)
    return url


def forget(url: str) -> bool:
    """Take note that nobody listens at an address any more; say whether one may be started there."""
    _found.discard(url)
    return os.environ.get("VOICEGW_AUTOSTART") == "1"


def is_running(url: str) -> bool:
    """Say whether a sidecar answers at an address."""
    import http.client

    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_ASK_LIMIT_S)
    try:
        connection.request("GET", f"{parts.path}/health")
        answer = connection.getresponse()
        return answer.status == 200 and b'"uptime_s"' in answer.read(4096)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _is_of_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _start(url: str, host: str, port: int) -> None:
    import subprocess

    # -P: no module of the folder that the agent is in takes the place of one of the sidecar's
    words = [sys.executable, "-P", "-m", "voicegw_sidecar", "serve", "--host", host, "--port", str(port)]
    log = _Log.opened(port)
    try:
        process = subprocess.Popen(  # noqa: S603 - this very package
            words, stdin=subprocess.DEVNULL, stdout=log.fd, stderr=log.fd, start_new_session=True
        )
        _await(process, url, log)
    finally:
        os.close(log.fd)


def _await(process: subprocess.Popen[bytes], url: str, log: _Log) -> None:
    """Wait until a sidecar answers, this one or another worker's."""
    end_s = time.monotonic() + _START_LIMIT_S
    while not is_running(url):
        if process.poll() is not None and not is_running(url):
            if process.returncode == _TAKEN and _comes_up(url, end_s):
                return
            raise SidecarNotRunningError(
                f"the sidecar that VOICEGW_AUTOSTART=1 started ended with code {process.returncode}: {log.last_line()}"
            )
        if time.monotonic() > end_s:
            process.kill()
            process.wait()
            raise SidecarNotRunningError(f"the sidecar that VOICEGW_AUTOSTART=1 started does not answer at {url}")
        time.sleep(_LOOK_EVERY_S)
    from threading import Thread

    Thread(target=_watch, args=(process, url, log.place), name="voicegw-autostart", daemon=True).start()


def _watch(process: subprocess.Popen[bytes], url: str, log_place: str) -> None:
    """Say whose sidecar it is that answers, and take note of its end, so that no dead process is left."""
    import subprocess

    try:
        process.wait(_OTHERS_LIMIT_S)
    except subprocess.TimeoutExpired:
        logger.warning(
            "sidecar started at %s as process %d; it stays when the agent ends; %s", url, process.pid, log_place
        )
        process.wait()
        logger.warning("the sidecar at %s, process %d, has ended with code %d", url, process.pid, process.returncode)


def _comes_up(url: str, end_s: float) -> bool:
    """Wait for a sidecar that somebody else starts; not as long as for one's own."""
    end_s = min(end_s, time.monotonic() + _OTHERS_LIMIT_S)
    while time.monotonic() < end_s:
        if is_running(url):
            return True
        time.sleep(_LOOK_EVERY_S)
    return False


class _Log(NamedTuple):
    """Where a started sidecar logs: an open file, what is said of it, and where its own lines begin."""

    fd: int
    place: str
    begins_at: int | None

    @classmethod
    def opened(cls, port: int) -> _Log:
        """Open the log in the folder of the default database; where none can be kept, nothing is."""
        path = os.path.expanduser(f"~/.config/voicegateway/autostart-{port}.log")
        if not os.path.isabs(path):  # nobody's home
            return cls._none("it keeps no log, as there is no home folder")
        try:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            # O_NONBLOCK: what is no file there shall not hold up anybody
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        except OSError as error:
            return cls._none(f"it keeps no log, as {path} cannot be written: {error.strerror}")
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            return cls._none(f"it keeps no log, as {path} is no file")
        if status.st_size > _LOG_MOST_BYTES:
            os.ftruncate(fd, 0)
        return cls(fd, f"it logs to {path}", os.fstat(fd).st_size)

    @classmethod
    def _none(cls, why: str) -> _Log:
        return cls(os.open(os.devnull, os.O_RDWR), why, None)

    def last_line(self) -> str:
        """Return the last that it said; run by hand it says all of it."""
        if self.begins_at is None:
            return f"{self.place}; 'voicegw-sidecar serve' says why"
        lines = os.pread(self.fd, _LOG_TOLD_BYTES, self.begins_at).decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it does not say why")

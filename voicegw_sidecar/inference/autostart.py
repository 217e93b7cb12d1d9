"""``VOICEGW_AUTOSTART=1``: the sidecar is started where it does not run yet.

It stays when the agent ends: other workers of this machine may use it, and a call must not lose it. It logs to a file
of its own: on the agent's stderr it would hold up whoever waits for the end of that.
"""

from __future__ import annotations

import logging
import os
import sys
from urllib.parse import urlsplit

from voicegw_sidecar.inference.errors import SidecarNotRunningError

logger = logging.getLogger(__name__)

_START_LIMIT_S = 20.0
_LOOK_EVERY_S = 0.02
_ASK_LIMIT_S = 2.0
_TAKEN = 1
"""How a sidecar ends that finds its database or port taken, by another worker's that is coming up perhaps."""
_LOG_MOST_BYTES = 4 * 1024 * 1024
_LOG_TOLD_BYTES = 2000
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_found: set[str] = set()
"""Addresses at which a sidecar was seen to run; asked once a process."""


def ensure_running(url: str) -> str:
    """Return the address, where ``VOICEGW_AUTOSTART`` is 1 only once a sidecar answers there.

    Blocks for the half second or so that a start takes, once a process. Raises `SidecarNotRunningError` where it
    does not come up, `ValueError` for an address that is not this machine's.
    """
    if os.environ.get("VOICEGW_AUTOSTART") != "1" or url in _found:
        return url
    parts = urlsplit(url)
    if not is_running(url):
        if parts.scheme != "http" or parts.hostname not in _LOOPBACK or parts.path:
            raise ValueError("VOICEGW_AUTOSTART starts a sidecar on this machine only; VOICEGW_URL names another")
        _start(url, parts.hostname or "", parts.port or 80)
    _found.add(url)
    return url


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


def log_path(port: int) -> str:
    """Return where a sidecar that was started here logs, in the folder of its database by default."""
    return os.path.expanduser(f"~/.config/voicegateway/autostart-{port}.log")


def _start(url: str, host: str, port: int) -> None:
    import subprocess
    import time

    # -P: no module of the folder that the agent is in takes the place of one of the sidecar's
    words = [sys.executable, "-P", "-m", "voicegw_sidecar", "serve", "--host", host, "--port", str(port)]
    log, begins_at = _opened_log(log_path(port))
    try:
        process = subprocess.Popen(  # noqa: S603 - this very package
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    finally:
        os.close(log)
    end_s = time.monotonic() + _START_LIMIT_S
    while not is_running(url):
        if process.poll() is not None and not is_running(url):
            if process.returncode == _TAKEN and _comes_up(url, end_s):
                return
            raise SidecarNotRunningError(
                f"the sidecar that VOICEGW_AUTOSTART=1 started ended with code {process.returncode}: "
                f"{_last_line(log_path(port), begins_at)}"
            )
        if time.monotonic() > end_s:
            raise SidecarNotRunningError(f"the sidecar started as process {process.pid} does not answer at {url}")
        time.sleep(_LOOK_EVERY_S)
    logger.warning(
        "sidecar started at %s as process %d; it stays when the agent ends, and logs to %s",
        url, process.pid, log_path(port),
    )  # fmt: skip


def _opened_log(path: str) -> tuple[int, int]:
    """Open the log to append to and return it with its length; where none can be kept, one that keeps nothing."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY), 0
    if os.fstat(log).st_size > _LOG_MOST_BYTES:
        os.truncate(log, 0)
    return log, os.fstat(log).st_size


def _last_line(path: str, begins_at: int) -> str:
    try:
        with open(path, "rb") as log:
            log.seek(begins_at)
            lines = log.read(_LOG_TOLD_BYTES).decode(errors="replace").split("\n")
    except OSError:
        lines = []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it does not say why")


def _comes_up(url: str, end_s: float) -> bool:
    """Wait for a sidecar that somebody else starts; not as long as for one's own."""
    import time

    end_s = min(end_s, time.monotonic() + _START_LIMIT_S / 4)
    while time.monotonic() < end_s:
        if is_running(url):
            return True
        time.sleep(_LOOK_EVERY_S)
    return False

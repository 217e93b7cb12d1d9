"""The checks of ``doctor`` that look at this machine: certificates, the database, the port, and room on the disk.

Nothing is changed: no database is made or brought to another schema, and a port that is tried is given back unused.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import apsw

from voicegw_sidecar import __version__
from voicegw_sidecar.cli.diagnosis import Check, fail, ok, warn
from voicegw_sidecar.cli.listener import address_of, health, readiness
from voicegw_sidecar.config import Config
from voicegw_sidecar.terms import NS_PER_S

_EVERY_INTERFACE = "0.0.0.0"  # noqa: S104 - tried, not listened on
_INTEGRITY_LIMIT_S = 5.0
_STEPS = 10_000  # of SQLite's machine between two looks at the clock
_MIB = 1024 * 1024
_DATABASE_MIB, _LEAST_DATABASE_MIB = 500, 50
_UNPACKED_MIB, _LEAST_UNPACKED_MIB = 100, 50
"""What the executable needs for another start: docs/packaging.md."""


def certificates() -> Check:
    """Say which certificates providers are checked by."""
    from voicegw_sidecar.relay.upstream import tls_context

    for name, exists in (("SSL_CERT_FILE", os.path.isfile), ("SSL_CERT_DIR", os.path.isdir)):
        value = os.environ.get(name)
        if value and not exists(value):
            what = "file" if name == "SSL_CERT_FILE" else "folder"
            return warn(
                "certificates", f"{name} names {value}, and no such {what} is there", f"unset {name} or mend it"
            )
    import ssl

    held = tls_context().cert_store_stats()["x509_ca"]
    if ssl.create_default_context().cert_store_stats()["x509_ca"] == 0 and held:
        return ok("certificates", f"the system has none: {held} authorities of certifi")
    return ok("certificates", f"the system's, {held} authorities" if held else "the system's folder, read when needed")


def database(path: Path) -> Check:
    """Say whether the database can be used, by whom it is, and whether it is whole."""
    name = "database"
    choose = "name another with cost_tracking.db_path"
    folder = _standing(path.parent)
    if not os.access(folder, os.W_OK | os.X_OK):
        return fail(name, f"{path}: {folder} cannot be written", f"give this user the right to, or {choose}")
    if not path.exists():
        return ok(name, f"{path} is made at the first start")
    if not path.is_file() or not os.access(path, os.R_OK | os.W_OK):
        return fail(name, f"{path} is no file that can be read and written", f"mend its rights, or {choose}")
    try:
        owner = _owner(path)
        return _looked_into(name, path, owner)
    except apsw.Error as error:
        fix = f"move it away, put a backup in its place, or {choose}"
        return fail(name, f"{path} cannot be read: {type(error).__name__}: {error}", fix)


def _looked_into(name: str, path: Path, owner: str | None) -> Check:
    from voicegw_sidecar.store.migrate import migrations, schema_version

    known, wal, index = len(migrations()), Path(f"{path}-wal"), Path(f"{path}-shm")
    is_settled = not wal.exists() or wal.stat().st_size == 0
    if not is_settled and not index.exists():  # reading it would make one
        return ok(name, f"{path}, with writes in {wal.name} that the next start takes over; not looked into")
    connection = _opened(path, is_alone=is_settled and owner is None)
    try:
        schema = schema_version(connection)
        if schema > known:
            fix = "use the program that wrote it, or name another database with cost_tracking.db_path"
            return fail(name, f"{path} has schema {schema}, this program knows {known}", fix)
        if schema == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,):
            fix = "name another with cost_tracking.db_path"
            return fail(name, f"{path} is another program's database", fix)
        state = f"{path}, schema {schema}" + (f", brought to {known} at the next start" if schema < known else "")
        state += f", in use by process {owner}" if owner else ""
        fault, is_whole = _integrity(connection)
    finally:
        connection.close()
    if fault:
        return fail(name, f"{path} is damaged: {fault}", "put a backup in its place, or move it away")
    return ok(name, f"{state}, intact" if is_whole else f"{state}, intact as far as {_INTEGRITY_LIMIT_S:g} s went")


def _opened(path: Path, *, is_alone: bool) -> apsw.Connection:
    """Open for reading; where nobody writes and nothing waits to be taken over, so that no file is made beside it."""
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    connection = apsw.Connection(f"file:{quote(str(path))}{'?immutable=1' if is_alone else ''}", flags=flags)
    connection.set_busy_timeout(1000)
    return connection


def _integrity(connection: apsw.Connection) -> tuple[str, bool]:
    """Return the first fault, and whether all was looked at within the time there is for it."""
    end_ns = time.monotonic_ns() + int(_INTEGRITY_LIMIT_S * NS_PER_S)
    connection.set_progress_handler(lambda: time.monotonic_ns() > end_ns, _STEPS)
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()
    except apsw.InterruptError:
        return "", False
    said = str(found[0]) if found else "nothing was said of it"
    return ("" if said == "ok" else " ".join(said.split())), True


def _owner(path: Path) -> str | None:
    """Return the process id of the sidecar that has the database, or None; the lock is not kept."""
    try:
        lock_fd = os.open(f"{path}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return os.read(lock_fd, 32).decode("ascii", "replace").strip() or "unknown"
    finally:
        os.close(lock_fd)
    return None


def ports(config: Config) -> Iterator[Check]:
    """Say of each port whether it is free, a sidecar's already, or another program's."""
    yield _port("port", config.serve.host, config.serve.port)
    if config.serve.health_port:
        yield _port("health_port", _EVERY_INTERFACE, config.serve.health_port)


def _port(name: str, host: str, number: int) -> Check:
    if number == 0:
        return ok(name, "any free one")
    where, trouble = f"{host}:{number}", _bind_trouble(host, number)
    if trouble == errno.EADDRINUSE:
        return _taken(name, where, address_of(host, number))
    if trouble is not None:
        return fail(name, f"{where}: {os.strerror(trouble)}", "choose others with serve.host and serve.port")
    return ok(name, f"{where} is free")


def _bind_trouble(host: str, number: int) -> int | None:
    """Return the error number of binding there as a sidecar does, or None; nothing listens for that."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except socket.gaierror:
        return errno.EADDRNOTAVAIL
    except OSError as error:
        return error.errno or errno.EINVAL
    return None


def _taken(name: str, where: str, address: str) -> Check:
    running = health(address)
    if running is None:
        return fail(name, f"{where} is in use by another program", f"stop that, or choose another with serve.{name}")
    told = f"{where}: a sidecar {running.version} runs there since {running.uptime_s:,.0f} s"
    ready = readiness(address)
    if running.version != __version__:
        return warn(name, told, f"this program is {__version__}: start it again")
    if ready is not None and ready.status != "ready":
        return warn(name, f"{told}, {ready.status}", "\n".join(ready.reasons) or "see its log")
    return ok(name, told)


def disk(path: Path) -> Iterator[Check]:
    """Yield how much room there is for the database, and for the executable's next start."""
    yield room("disk", _standing(path.parent), _DATABASE_MIB, _LEAST_DATABASE_MIB, "the database")
    if getattr(sys, "frozen", False):
        temporary = Path(tempfile.gettempdir())
        yield room("temporary directory", temporary, _UNPACKED_MIB, _LEAST_UNPACKED_MIB, "what a start unpacks")


def room(name: str, folder: Path, wanted_mib: int, least_mib: int, what: str) -> Check:
    """Say how much room there is in a folder, against what should be free and what has to be."""
    free_mib = shutil.disk_usage(folder).free // _MIB
    detail = f"{free_mib:,} MiB free at {folder}, for {what}"
    if free_mib >= wanted_mib:
        return ok(name, detail)
    fix = f"make room: {wanted_mib} MiB should be free"
    return warn(name, detail, fix) if free_mib >= least_mib else fail(name, detail, fix)


def _standing(folder: Path) -> Path:
    """Return the nearest folder above that exists: what is missing is made in it."""
    return next(one for one in (folder, *folder.parents) if one.is_dir())

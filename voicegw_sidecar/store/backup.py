"""A copy of the database while it is written: one file, whole as of one moment, in the way of nobody.

SQLite's own ``VACUUM INTO`` reads as any reader does, so the sidecar writes on; what is free in the file is left out.
The copy is checked before it gets its name: there is a whole one or none.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
from pathlib import Path

import apsw

from voicegw_sidecar.errors import StoreFailed
from voicegw_sidecar.store.migrate import schema_version

_BUSY_MS = 10_000
_STEPS = 100_000


def back_up(source: Path, target: Path, *, replaces: bool) -> int:
    """Write a copy and return its size in bytes; raises `StoreFailed` and then leaves no file behind.

    A database of an older or newer schema is copied all the same: before an upgrade is when a copy is wanted most.
    """
    if not replaces and target.exists():
        raise StoreFailed(f"{target} is there already; name another file, or replace it with --force")
    if target.is_dir():
        raise StoreFailed(f"{target} is a folder, expected the name of a file")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        _refuse_own_files(source, target)
        _forget_others(target)
        _refuse_without_room(source, target)
        _copy(source, partial)
        size_bytes = partial.stat().st_size
        _give_name(partial, target, replaces=replaces)
    except FileExistsError:
        raise StoreFailed(f"{target} is there already; name another file, or replace it with --force") from None
    except OSError as error:
        raise StoreFailed(f"cannot write {target}: {error.strerror or error}") from None
    except apsw.Error as error:
        raise StoreFailed(f"cannot copy {source} to {target}: {type(error).__name__}: {error}") from None
    finally:
        for left in (partial, partial.with_name(f"{partial.name}-journal")):
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)
    return size_bytes


def _refuse_own_files(source: Path, target: Path) -> None:
    """A copy in the place of what a sidecar writes would part it from its file."""
    own = [source, *(Path(f"{source}{suffix}") for suffix in ("-wal", "-shm", ".lock"))]
    if any(path.exists() and target.exists() and path.samefile(target) for path in own):
        raise StoreFailed(f"{target} is the database itself; name another file")


def _forget_others(target: Path) -> None:
    """Remove what earlier copies of this name left that were killed."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.*.partial*"):
        process = left.name.removeprefix(f".{target.name}.").partition(".")[0]
        if process.isdigit() and not Path(f"/proc/{process}").exists():
            left.unlink(missing_ok=True)


def _refuse_without_room(source: Path, target: Path) -> None:
    """A copy that does not fit would fill the disk that calls' rows go to."""
    needed = sum(path.stat().st_size for path in (source, Path(f"{source}-wal")) if path.exists())
    free = shutil.disk_usage(target.parent).free
    if free < needed:
        needed_mb, free_mb = needed / 1e6, free / 1e6
        raise StoreFailed(f"{target.parent} has {free_mb:,.0f} MB free, a copy may take {needed_mb:,.0f} MB; make room")


def _copy(source: Path, partial: Path) -> None:
    # whose calls there were is nobody else's; an empty file is what VACUUM INTO accepts as a target
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.set_busy_timeout(_BUSY_MS)
        connection.set_progress_handler(lambda: False, _STEPS)  # lets a signal through while SQLite works
        if schema_version(connection) == 0:
            raise StoreFailed(f"{source} holds no voicegw-sidecar database")
        connection.execute("VACUUM INTO ?", (str(partial),))
    finally:
        connection.close()
    copy = apsw.Connection(str(partial), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found = copy.pragma("quick_check")
    finally:
        copy.close()
    if found != "ok":
        raise StoreFailed(f"{source} is damaged, and so would be its copy: {str(found)[:200]}")


def _give_name(partial: Path, target: Path, *, replaces: bool) -> None:
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    if replaces:
        partial.replace(target)
    else:
        _link(partial, target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _link(partial: Path, target: Path) -> None:
    """Give the name without replacing: unlike a rename, a link fails where somebody made such a file meanwhile."""
    try:
        os.link(partial, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS) or target.exists():
            raise
        partial.rename(target)  # a file system without links

"""The key that share links and key prints are signed with: a file beside the database, made at the first start.

Whoever copies the database alone can make no link and test no guess of an admin key.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from voicegw_sidecar.errors import StoreFailed

FILE_NAME = "signing.key"
_BYTES = 32


def signing_key(folder: Path) -> bytes:
    """Return the key of this folder, made if there is none; raises `StoreFailed` where it cannot be."""
    path = folder / FILE_NAME
    try:
        try:
            return _read(path)
        except FileNotFoundError:
            _make(path)
            return _read(path)
    except OSError as error:
        raise StoreFailed(f"cannot use {path}: {error.strerror}; it holds the key of share links") from None


def _read(path: Path) -> bytes:
    text = path.read_text(encoding="ascii", errors="replace").strip()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _BYTES:
        raise StoreFailed(
            f"{path} holds no key; put the file of a backup in its place, or remove it: "
            "then all share links and sign-ins end"
        )
    return key


def _make(path: Path) -> None:
    """Write a new key in one step: nobody ever reads half of it."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{secrets.token_hex(_BYTES)}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # unlike a rename it leaves alone what another start has made meanwhile
    except FileExistsError:
        pass
    finally:
        draft.unlink()

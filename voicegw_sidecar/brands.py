"""How each project's pages look: what was set at run time over what the configuration file says.

A logo that was uploaded is a file below the database's folder, sanitised before it was written; one that the file names
is sanitised when the file is read, and kept in memory.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from voicegw_sidecar.branding import Logo, read_logo
from voicegw_sidecar.branding.logo import LIMIT_BYTES
from voicegw_sidecar.config import Project
from voicegw_sidecar.errors import ConfigError, SidecarError
from voicegw_sidecar.store.operator_records import BrandRow

FOLDER = "branding"
_STORED_LIMIT_BYTES = 4 * 1024 * 1024  # a sanitised logo may be longer than what was uploaded
CONTENT_TYPES = {"png": "image/png", "svg": "image/svg+xml"}


class LogoName(Struct, frozen=True):
    """Which logo a project has; ``digest`` changes with its content."""

    extension: str
    digest: str


class Brand(Struct, frozen=True):
    """A project's look; None is the default one's."""

    product_name: str | None = None
    accent_color: str | None = None
    logo: LogoName | None = None


class FileLogos(Struct, frozen=True):
    """The logos that the configuration file names, by project; ``faults`` says which of them cannot be used."""

    logos: dict[str, Logo] = {}
    faults: dict[str, ConfigError] = {}


def read_file_logos(projects: Iterable[Project]) -> FileLogos:
    """Read and sanitise the logos of the configuration file; not for the event loop."""
    logos: dict[str, Logo] = {}
    faults: dict[str, ConfigError] = {}
    for project in projects:
        path, key = project.branding.logo, f"projects.{project.id}.branding.logo"
        if path is None:
            continue
        try:
            with path.open("rb") as file:
                logos[project.id] = read_logo(file.read(LIMIT_BYTES + 1))
        except OSError as error:
            faults[project.id] = ConfigError(key, f"{path} cannot be read: {error.strerror}")
        except SidecarError as error:
            faults[project.id] = ConfigError(key, error.message)
    return FileLogos(logos, faults)


class Brands:
    """The brands of a running sidecar."""

    def __init__(self, folder: Path, rows: Iterable[BrandRow], file_logos: FileLogos) -> None:
        self._folder = folder / FOLDER
        self._rows = {row.project_id: row for row in rows}
        self.file_logos = file_logos
        """Replaced when the configuration file is read again."""

    def row(self, project_id: str) -> BrandRow:
        """Return what was set at run time."""
        return self._rows.get(project_id, BrandRow(project_id))

    def put(self, row: BrandRow) -> None:
        """Let a brand be in force."""
        self._rows[row.project_id] = row

    def forget(self, project_id: str) -> None:
        """Go back to the configuration file's."""
        self._rows.pop(project_id, None)

    def of(self, project: Project) -> Brand:
        """Return a project's look."""
        row, written = self.row(project.id), project.branding
        named = self.file_logos.logos.get(project.id)
        logo = None if named is None else LogoName(named.extension, named.digest)
        if row.logo_extension is not None and row.logo_digest is not None:
            logo = LogoName(row.logo_extension, row.logo_digest)
        return Brand(row.product_name or written.product_name, row.accent_color or written.accent_color, logo)

    def read(self, project_id: str) -> bytes | None:
        """Return a project's logo; not for the event loop. None where its file is gone."""
        row = self.row(project_id)
        if row.logo_extension is None:
            named = self.file_logos.logos.get(project_id)
            return None if named is None else named.content
        try:
            with self._path(project_id, row.logo_extension).open("rb") as file:
                return file.read(_STORED_LIMIT_BYTES)
        except OSError:
            return None

    def write(self, project_id: str, logo: Logo) -> None:
        """Put an uploaded logo into its file, in one step; not for the event loop. Raises `OSError`."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        draft = self._folder / f".{project_id}.{secrets.token_hex(4)}"
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(logo.content)
            draft.replace(self._path(project_id, logo.extension))
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def remove(self, project_id: str, extensions: Iterable[str] = tuple(CONTENT_TYPES)) -> None:
        """Remove a project's uploaded logo; not for the event loop."""
        for extension in extensions:
            self._path(project_id, extension).unlink(missing_ok=True)

    def _path(self, project_id: str, extension: str) -> Path:
        return self._folder / f"{project_id}.{extension}"


def logo_url(project_id: str, brand: Brand) -> str | None:
    """Return where a project's logo is served."""
    return None if brand.logo is None else f"/static/branding/{project_id}.{brand.logo.extension}"

"""The one place that reads the configuration file: finding it, parsing it, laying the environment over it.

Every fault is a one-line :class:`ConfigError`; none repeats a key or a value from the environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field, structs

from voicegw_sidecar.config.address import Host
from voicegw_sidecar.config.check import check_document
from voicegw_sidecar.config.document import LIMIT_BYTES, parse
from voicegw_sidecar.config.entry import ProjectId
from voicegw_sidecar.config.kind import AgentKey, EnvText, FilePath, Key, Kind, Mismatch
from voicegw_sidecar.config.rule import shared_keys, unexposed, unknown_project
from voicegw_sidecar.config.schema import PORT, BuiltinProvider, Config
from voicegw_sidecar.errors import ConfigError
from voicegw_sidecar.terms import Secret

FILE_NAME = "voicegw.yaml"
USER_FILE = Path("~/.config/voicegateway") / FILE_NAME
SYSTEM_FILE = Path("/etc/voicegateway") / FILE_NAME


class Loaded(Struct, frozen=True):
    """A configuration that may be put in force."""

    config: Config
    path: Path | None
    """The file it was read from; None if there is none."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """The variables it was read with: projects made at run time name some of them."""

    def __repr__(self) -> str:
        return f"Loaded({self.path})"  # the environment holds keys


def load(
    explicit_path: str | None, environ: Mapping[str, str], cwd: Path, builtin: Mapping[str, BuiltinProvider]
) -> Loaded:
    """Find, read and check the configuration; raises the first :class:`ConfigError`."""
    loaded, errors = examine(explicit_path, environ, cwd, builtin)
    if errors:
        raise errors[0]
    return loaded


def examine(
    explicit_path: str | None, environ: Mapping[str, str], cwd: Path, builtin: Mapping[str, BuiltinProvider]
) -> tuple[Loaded, list[ConfigError]]:
    """Do as :func:`load`, and return every fault; with any, the configuration is not to be put in force."""
    try:
        path, content = _read(explicit_path, environ, cwd)
        document = parse(content, str(path))
    except ConfigError as error:
        return Loaded(Config(), None), [error]
    config, errors = check_document(document, builtin, environ)
    overlay = _Overlay(environ)
    config = overlay.applied(config)
    errors += overlay.errors
    config, missing = with_agent_keys(config, environ)
    errors += missing
    told = {str(error) for error in errors}
    errors += [error for error in shared_keys(config) if str(error) not in told]
    exposed = unexposed(config)
    if exposed is not None and not errors:
        errors.append(exposed)
    try:
        config = _with_full_paths(config, environ, cwd, path)
    except ConfigError as error:
        errors.append(error)
    return Loaded(config, path, environ), errors


def _read(explicit_path: str | None, environ: Mapping[str, str], cwd: Path) -> tuple[Path | None, bytes]:
    """Return the file in force and its content; a named one must exist, a searched one need not."""
    for origin, named in (("--config", explicit_path), ("VOICEGW_CONFIG", environ.get("VOICEGW_CONFIG"))):
        if named:
            path = cwd / _with_home(Path(named), environ)
            content = _content(path)
            if content is None:
                raise ConfigError(str(path), f"no such file; {origin} names it, so create it or name another")
            return path, content
    for path in (cwd / FILE_NAME, USER_FILE, SYSTEM_FILE):
        try:
            path = _with_home(path, environ)
        except ConfigError:
            continue  # no home folder, as in many containers: nothing of ours is in it
        if not _can_be_seen(path):
            continue
        content = _content(path)
        if content is not None:
            return path, content
    return None, b""


def _can_be_seen(path: Path) -> bool:
    """Tell whether a searched file may be there; a folder closed to us is another user's."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def _content(path: Path) -> bytes | None:
    """Return the file's bytes, at most one more than may be, or None if there is no such file."""
    try:
        with path.open("rb") as file:
            return file.read(LIMIT_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise ConfigError(str(path), "expected a file, got a folder") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "not a usable path"
        raise ConfigError(str(path), f"cannot be read: {reason.lower()}") from None


def _with_home(path: Path, environ: Mapping[str, str], key: str = "") -> Path:
    """Return the path with ``~`` replaced; ``key`` is the setting it came from, where it came from one."""
    if path.parts[:1] != ("~",):
        return path
    home = environ.get("HOME")
    if not home:
        hint = "; set it, or give a whole path" if key else ""
        raise ConfigError(key or str(path), f"{path} expects the variable HOME to be set{hint}")
    return Path(home, *path.parts[1:])


def _with_full_paths(config: Config, environ: Mapping[str, str], cwd: Path, file: Path | None) -> Config:
    """Return the configuration with absolute paths: the database's from here, a logo's from the file's folder."""
    db_path = cwd / _with_home(config.cost_tracking.db_path, environ, "cost_tracking.db_path")
    folder = cwd if file is None else file.parent
    projects = {}
    for key, project in config.projects.items():
        logo = project.branding.logo
        if logo is not None:
            branding = structs.replace(project.branding, logo=folder / _with_home(logo, environ))
            project = structs.replace(project, branding=branding)
        projects[key] = project
    tracking = structs.replace(config.cost_tracking, db_path=db_path)
    return structs.replace(config, cost_tracking=tracking, projects=projects)


def with_agent_keys(config: Config, environ: Mapping[str, str]) -> tuple[Config, list[ConfigError]]:
    """Return the configuration with the agent keys that variables hold among the others."""
    errors: list[ConfigError] = []
    projects = {}
    for key, project in config.projects.items():
        found = list(project.agent_keys)
        for index, name in enumerate(project.agent_key_envs):
            try:
                found.append(AgentKey().read(environ.get(name, "")))
            except Mismatch:
                path = f"projects.{key}.agent_key_envs[{index}]"
                errors.append(ConfigError(path, f"expected the variable {name} to hold a key; set it or remove it"))
        projects[key] = structs.replace(project, agent_keys=tuple(found), agent_key_envs=())
    return structs.replace(config, projects=projects), errors


class _Overlay:
    """The variables that stand above the file; an empty one counts as not set."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.errors: list[ConfigError] = []

    def applied(self, config: Config) -> Config:
        """Return the configuration with every variable's value in its place."""
        serve, tracking, auth = config.serve, config.cost_tracking, config.auth
        key = self._value("VOICEGW_API_KEY", Key(), None)
        if isinstance(key, Secret) and key not in auth.api_keys:
            auth = structs.replace(auth, api_keys=(*auth.api_keys, key))
        return structs.replace(
            config,
            default_project=self._project(config),
            serve=structs.replace(
                serve,
                host=self._value("VOICEGW_HOST", Host(), serve.host),
                port=self._value("VOICEGW_PORT", PORT, serve.port),
            ),
            cost_tracking=structs.replace(
                tracking, db_path=self._value("VOICEGW_DB_PATH", FilePath(), tracking.db_path)
            ),
            auth=auth,
        )

    def _project(self, config: Config) -> str:
        name = "VOICEGW_PROJECT"
        project = str(self._value(name, ProjectId(), config.default_project))
        reason = unknown_project(config, project) if project != config.default_project else None
        if reason:
            self.errors.append(ConfigError(name, reason))
        return project

    def _value(self, name: str, kind: Kind, otherwise: object) -> object:
        text = self._environ.get(name)
        if not text:
            return otherwise
        try:
            return kind.read(EnvText(text, (name,), is_whole=True))
        except Mismatch as mismatch:
            self.errors.append(ConfigError(name, str(mismatch)))
            return otherwise

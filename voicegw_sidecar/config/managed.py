"""Projects that are made at run time: validated as the file's are, but for keys, which are named and never given.

A project of the database may be written by whoever may call the API, so it can neither hold a key nor send one that it
does not own to an address of its own choice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct, structs

from voicegw_sidecar.config.check import check_project
from voicegw_sidecar.config.entry import ProjectId
from voicegw_sidecar.config.kind import EnvName, Key, Mismatch, joined
from voicegw_sidecar.config.load import with_agent_keys
from voicegw_sidecar.config.rule import project_rules, shared_keys
from voicegw_sidecar.config.schema import Branding, BuiltinProvider, Config, Project, ProviderEntry
from voicegw_sidecar.errors import ConfigError
from voicegw_sidecar.terms import Secret

MOST_ENTRIES = 64
"""Of any one list or mapping in a project's settings."""
KEY_NAME = "api_key_env"
"""What a provider here has in place of ``api_key``: the name of a variable."""
FILE_ONLY: Mapping[tuple[type[Struct], str], str] = MappingProxyType({
    (Project, "agent_keys"): "expected none; name variables that hold the keys: agent_key_envs",
    (ProviderEntry, "api_key"): f"expected none; name a variable that holds the key: {KEY_NAME}",
    (Branding, "logo"): "expected none; upload the logo instead",
})  # fmt: skip
"""What only the file may hold, keys and files of this machine, and what to do instead."""
NO_KEYS: Mapping[Secret, str] = MappingProxyType({})


def read_managed(
    project_id: str,
    settings: Mapping[str, object],
    config: Config,
    builtin: Mapping[str, BuiltinProvider],
    environ: Mapping[str, str],
    taken: Mapping[Secret, str] = NO_KEYS,
) -> tuple[Project, list[ConfigError]]:
    """Read the settings of a project that ``config`` does not have; with errors it is not to be put in force.

    ``settings`` are those of the file's section, with ``providers.<id>.api_key_env`` in place of ``api_key``. ``taken``
    are the agent keys of the other managed projects, and whose each is.
    """
    path = f"projects.{project_id}"
    try:
        ProjectId().read(project_id)
    except Mismatch as mismatch:
        return Project(), [ConfigError("project_id", str(mismatch))]
    oversized = _oversized(path, settings)
    if oversized is not None:  # said before anything is compared with anything: a fault costs more than a sound value
        return Project(), [oversized]
    errors = list(_not_for_here(path, settings))
    document, key_envs = _without_key_names(settings)
    project, found = check_project(document, project_id)
    errors += found
    keys: dict[str, Secret] = {}
    for provider, name in key_envs.items():
        try:
            keys[provider] = _key_of(name, environ)
        except Mismatch as mismatch:
            errors.append(ConfigError(joined(f"{path}.providers", provider) + f".{KEY_NAME}", str(mismatch)))
    providers = {
        id_: structs.replace(entry, api_key=keys[id_]) if id_ in keys else entry
        for id_, entry in project.providers.items()
    }
    errors += _sent_elsewhere(path, providers, config, builtin)
    project = structs.replace(project, providers=providers, is_managed=True)
    resolved, missing = with_agent_keys(structs.replace(config, projects={project_id: project}), environ)
    errors += missing
    project = resolved.projects[project_id]
    joint = structs.replace(config, projects={**config.projects, project_id: project})
    errors += project_rules(joint, project, builtin)
    errors += [error for error in shared_keys(joint) if error.path.startswith(f"{path}.")]
    for key in project.agent_keys:
        if key in taken:
            errors.append(
                ConfigError(f"{path}.agent_keys", f"expected keys of its own, got one that {taken[key]} has too")
            )
    return project, errors


def _not_for_here(path: str, settings: Mapping[str, object]) -> Iterator[ConfigError]:
    """Yield what only the file may hold."""
    if settings.get("agent_keys"):
        yield ConfigError(f"{path}.agent_keys", FILE_ONLY[Project, "agent_keys"])
    for provider, entry in _entries(settings):
        if entry.get("api_key"):
            where = joined(f"{path}.providers", provider) + ".api_key"
            yield ConfigError(where, FILE_ONLY[ProviderEntry, "api_key"])
    branding = settings.get("branding")
    if isinstance(branding, dict) and branding.get("logo"):
        yield ConfigError(f"{path}.branding.logo", FILE_ONLY[Branding, "logo"])


def _without_key_names(settings: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """Return the settings as the schema has them, and the names of each provider's variable."""
    names = {provider: entry[KEY_NAME] for provider, entry in _entries(settings) if KEY_NAME in entry}
    document = dict(settings)
    providers = settings.get("providers")
    if isinstance(providers, dict):
        document["providers"] = {
            provider: {key: value for key, value in entry.items() if key != KEY_NAME}
            if isinstance(entry, dict)
            else entry
            for provider, entry in providers.items()
        }
    return document, {provider: name for provider, name in names.items() if name is not None}


def _entries(settings: Mapping[str, object]) -> Iterator[tuple[str, dict[str, Any]]]:
    providers = settings.get("providers")
    for provider, entry in providers.items() if isinstance(providers, dict) else ():
        if isinstance(entry, dict):
            yield str(provider), entry


def _key_of(name: object, environ: Mapping[str, str]) -> Secret:
    variable = EnvName().read(name)
    value = environ.get(variable)
    if not value:
        raise Mismatch(f"the environment variable {variable} is not set; set it and start the sidecar again")
    return Key().read(value)


def _sent_elsewhere(
    path: str, providers: Mapping[str, ProviderEntry], config: Config, builtin: Mapping[str, BuiltinProvider]
) -> Iterator[ConfigError]:
    """Yield what would send a key somewhere that neither the file nor the provider itself chose.

    Without an admin key every program of this machine may write projects: none may have a variable of the sidecar's, or
    the key that an agent sends, delivered to an address, or a local port, that it listens on itself.
    """
    if config.auth.api_keys:
        return
    remedy = "while no admin key is configured; set VOICEGW_API_KEY, or write it into voicegw.yaml"
    for provider, entry in providers.items():
        top, known = config.providers.get(provider), builtin.get(provider)
        if entry.base_url and (top is not None or known is not None):
            yield ConfigError(f"{path}.providers.{provider}.base_url", f"expected the usual address {remedy}")
        elif entry.api_key and entry.base_url:
            yield ConfigError(f"{path}.providers.{provider}.base_url", f"expected none beside api_key_env {remedy}")
        elif entry.api_key and known is not None and known.is_local and not (top is not None and top.base_url):
            yield ConfigError(f"{path}.providers.{provider}.api_key_env", f"expected none for a local port {remedy}")


def _oversized(path: str, value: object) -> ConfigError | None:
    """Return which part of the settings has more entries than any project needs."""
    if not isinstance(value, dict | list):
        return None
    if len(value) > MOST_ENTRIES:
        return ConfigError(path, f"expected at most {MOST_ENTRIES} entries, got {len(value)}")
    items = value.items() if isinstance(value, dict) else ((None, item) for item in value)
    found = (_oversized(path if key is None else joined(path, str(key)), item) for key, item in items)
    return next((one for one in found if one is not None), None)

"""What one key says about another: providers that exist, budgets that can be kept, keys that are unambiguous.

Works on a configuration whose single values are already sound, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from voicegw_sidecar.config.address import is_loopback
from voicegw_sidecar.config.kind import did_you_mean, joined
from voicegw_sidecar.config.schema import (
    BUILTIN_PROJECT,
    BuiltinProvider,
    Config,
    Project,
    ProviderEntry,
)
from voicegw_sidecar.errors import ConfigError
from voicegw_sidecar.terms import BudgetAction, RosterEntry, Secret


def broken_rules(config: Config, builtin: Mapping[str, BuiltinProvider]) -> Iterator[ConfigError]:
    """Yield every contradiction between keys."""
    yield from _default_project(config)
    for project in config.projects.values():
        yield from project_rules(config, project, builtin)
    yield from _further_providers("providers", config.providers, builtin, {})
    yield from _prices(config, builtin)
    yield from _ports(config)
    yield from shared_keys(config)


def unexposed(config: Config) -> ConfigError | None:
    """Return the error of a sidecar that others can reach and that nobody needs a key for, or None.

    To be asked again by whoever changes the bind after loading.
    """
    if config.auth.api_keys:
        return None
    remedy = "without an admin key; set VOICEGW_API_KEY or auth.api_keys"
    if not is_loopback(config.serve.host):
        return ConfigError("serve.host", f"expected a loopback address, got {config.serve.host} {remedy}")
    if config.serve.public_url:
        return ConfigError("serve.public_url", f"expected none {remedy}")
    if config.serve.allowed_hosts:
        return ConfigError("serve.allowed_hosts", f"expected none {remedy}")
    return None


def unknown_project(config: Config, project: str) -> str | None:
    """Return why a project cannot be the default one, or None if it can."""
    if project == BUILTIN_PROJECT or project in config.projects:
        return None
    hint = did_you_mean(project, config.projects) or "; add it under projects:"
    return f"expected a configured project, got {project}{hint}"


def _default_project(config: Config) -> Iterator[ConfigError]:
    reason = unknown_project(config, config.default_project)
    if reason:
        yield ConfigError("default_project", reason)


def project_rules(config: Config, project: Project, builtin: Mapping[str, BuiltinProvider]) -> Iterator[ConfigError]:
    """Yield what one project says against the rest of the configuration."""
    path = f"projects.{project.id}"
    yield from _further_providers(f"{path}.providers", project.providers, builtin, config.providers)
    known = {*builtin, *config.providers, *project.providers}
    rosters, stand_in = project.routing.rosters, project.throttle_to
    for modality, roster in (("stt", rosters.stt), ("llm", rosters.llm), ("tts", rosters.tts)):
        yield from _roster(f"{path}.routing.rosters.{modality}", roster, known)
    for modality, entry in (("stt", stand_in.stt), ("llm", stand_in.llm), ("tts", stand_in.tts)):
        if entry is None:
            continue
        if entry.provider not in known:
            yield _unknown_provider(f"{path}.throttle_to.{modality}", entry.provider, known)
        elif entry.provider in builtin and not builtin[entry.provider].is_local:
            yield ConfigError(
                f"{path}.throttle_to.{modality}",
                f"expected a local provider or one declared in YAML, got {entry.provider}, which costs money too",
            )
    enforced = project.daily_budget_nanousd is not None and project.budget_action is not BudgetAction.WARN
    if enforced and not config.cost_tracking.enabled:
        yield ConfigError(
            f"{path}.budget_action",
            f"expected warn while cost_tracking.enabled is false, got {project.budget_action}; "
            "a budget cannot be kept without tracking costs",
        )


def _roster(path: str, roster: tuple[RosterEntry, ...], known: set[str]) -> Iterator[ConfigError]:
    seen: set[RosterEntry] = set()
    for index, entry in enumerate(roster):
        if entry.provider not in known:
            yield _unknown_provider(f"{path}[{index}]", entry.provider, known)
        elif entry in seen:
            yield ConfigError(f"{path}[{index}]", f"expected each entry once, got {entry} again")
        seen.add(entry)


def _unknown_provider(path: str, provider: str, known: set[str]) -> ConfigError:
    hint = did_you_mean(provider, sorted(known)) or "; known are " + ", ".join(sorted(known))
    return ConfigError(path, f"unknown provider {provider}{hint}")


def _further_providers(
    path: str,
    entries: Mapping[str, ProviderEntry],
    builtin: Mapping[str, BuiltinProvider],
    above: Mapping[str, ProviderEntry],
) -> Iterator[ConfigError]:
    for provider, entry in entries.items():
        if provider in builtin or provider in above:
            continue
        missing = [
            name for name, value in (("dialect: openai", entry.dialect), ("base_url", entry.base_url)) if not value
        ]
        if missing:
            hint = did_you_mean(provider, builtin)
            reason = f"not a built-in provider, so it needs {' and '.join(missing)}{hint}"
            yield ConfigError(f"{path}.{provider}", reason)


def _prices(config: Config, builtin: Mapping[str, BuiltinProvider]) -> Iterator[ConfigError]:
    known = {*builtin, *config.providers}
    for project in config.projects.values():
        known |= set(project.providers)
    for key in config.prices:
        provider = key.partition("/")[0]
        if provider not in known:
            yield _unknown_provider(joined("prices", key), provider, known)


def _ports(config: Config) -> Iterator[ConfigError]:
    if config.serve.health_port and config.serve.health_port == config.serve.port:
        yield ConfigError("serve.health_port", f"expected another port than serve.port, got {config.serve.port} too")


def shared_keys(config: Config) -> Iterator[ConfigError]:
    """Yield keys that would stand for two parties at once; asked again once the variables are read."""
    owners: dict[Secret, str] = dict.fromkeys(config.auth.api_keys, "auth.api_keys")
    groups = [("auth.viewer_keys", config.auth.viewer_keys)]
    groups += [(f"projects.{project.id}.agent_keys", project.agent_keys) for project in config.projects.values()]
    for path, keys in groups:
        for key in keys:
            owner = owners.setdefault(key, path)
            if owner != path:
                yield ConfigError(path, f"expected keys of its own, got one that {owner} has too")

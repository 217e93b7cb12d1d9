"""The checks of ``doctor`` that look at the configuration alone: its faults, and who holds which key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from voicegw_sidecar.cli.diagnosis import Check, fail, ok, warn
from voicegw_sidecar.cli.meant import meant, needs_key, rostered
from voicegw_sidecar.cli.variables import KEYS, key_variable
from voicegw_sidecar.config import Catalog, Loaded
from voicegw_sidecar.errors import ConfigError


def configuration(loaded: Loaded, errors: Sequence[ConfigError]) -> Check:
    """Say where the configuration is and whether it can be put in force."""
    name, source = "configuration", str(loaded.path) if loaded.path else "no file: defaults"
    if errors:
        many = "a fault" if len(errors) == 1 else f"{len(errors)} faults"
        return fail(name, f"{loaded.path or 'what was found'}: {many}", "\n".join(error.message for error in errors))
    from voicegw_sidecar.brands import read_file_logos

    troubles = [fault.message for fault in read_file_logos(loaded.config.projects.values()).faults.values()]
    return warn(name, source, "\n".join(troubles)) if troubles else ok(name, source)


def keys(catalog: Catalog, environ: Mapping[str, str]) -> Check:
    """Say which vendors' keys are configured here, and of which the agents bring their own. Shows none."""
    vendors = [provider for provider in meant(catalog, environ, catalog.projects) if needs_key(provider)]
    if not vendors:
        return ok("keys", "no vendor is configured: the agents' own keys pass through")
    held = {
        provider: [id_ for id_ in catalog.projects if catalog.provider_settings(id_, provider).api_key]
        for provider in vendors
    }
    told = [
        (f"configured: {', '.join(name for name in vendors if held[name])}", any(held.values())),
        (f"agents bring their own: {', '.join(name for name in vendors if not held[name])}", not all(held.values())),
    ]
    detail = "; ".join(text for text, is_there in told if is_there)
    missing = [fix for provider in vendors for fix in _missing(catalog, environ, provider, held[provider])]
    return warn("keys", detail, "\n".join(missing)) if missing else ok("keys", detail)


def _missing(catalog: Catalog, environ: Mapping[str, str], provider: str, held: Sequence[str]) -> list[str]:
    """Return what to do where only a configured key would serve: on unified endpoints, and behind an agent key."""
    name = key_variable(provider, environ) or KEYS[provider][0]
    entry = f'add {provider}: {{api_key: "${{{name}}}"}} under providers:'
    routed = [
        project.id for project in catalog.projects.values() if project.id not in held and provider in rostered(project)
    ]
    guarded = [
        project.id for project in catalog.projects.values()
        if project.agent_keys and project.id not in held and project.id not in routed
    ]  # fmt: skip
    found = []
    if routed:
        found.append(f"{entry}, or /v1 refuses what the rosters of {', '.join(routed)} give to {provider}")
    if guarded:
        found.append(f"{entry}, or calls to {provider} with an agent key of {', '.join(guarded)} are refused")
    return found

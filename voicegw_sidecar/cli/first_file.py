"""The first ``voicegw.yaml``: its text, with a comment above each part and no key in it, and how it is written."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from voicegw_sidecar.cli.meant import serves
from voicegw_sidecar.cli.variables import KEYS, key_variable
from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.terms import ROUTED, Modality

_HEAD = """\
# Written by 'voicegw-sidecar onboard'. Every key there is, and its default: docs/configuration.md.
# 'voicegw-sidecar check' names every fault of this file; 'voicegw-sidecar doctor' looks at what is around it.

# Calls whose address names no project belong to this one.
default_project: {project}

# Projects: whose calls these are, what they may cost, which providers serve them.
projects:
  {project}:
    # US dollars a day, and what happens once they are spent: warn, throttle (to local models) or block.
    # daily_budget: 25.0
    # budget_action: warn

    # Sessions take the fastest provider of each list, by what was observed here. The unified endpoints at /v1 obey
    # that where an agent asks for the model "auto"; all other addresses name their provider themselves.
    routing:
      budget_ms: 1500
      rosters:
"""
_PROVIDERS = """\

# Providers. An agent that holds a vendor's key needs no entry here: its own key passes through. With one, the key
# below replaces whatever the agent sends; the unified endpoints and LiveKit Inference use only such keys.
# ${NAME} is read from the sidecar's environment: no key stands in this file.
providers:
"""
_REST = """\

# Whose midnight ends the day of budgets and reports, for example Europe/Berlin.
timezone: UTC

# Where agents find the sidecar. It listens on this machine only.
serve:
  port: {port}
"""


class Answers(Struct, frozen=True):
    """What was chosen."""

    project: str
    providers: tuple[str, ...]
    port: int


class Exists(SidecarError):
    """There is a file already: exit code 1."""


def text_of(answers: Answers, environ: Mapping[str, str]) -> str:
    """Return the file; every key in it is a reference to a variable."""
    rosters = rosters_of(answers.providers, environ)
    lines = [_roster_line(modality, rosters[modality]) for modality in ROUTED]
    entries = [_entry(provider, environ) for provider in answers.providers]
    if not entries:
        entries = ['  # openai: {api_key: "${OPENAI_API_KEY}"}']
    parts = (_HEAD.format(project=answers.project), *lines, _PROVIDERS, *(f"{entry}\n" for entry in entries))
    return "".join(parts) + _REST.format(port=answers.port)


def rosters_of(providers: Sequence[str], environ: Mapping[str, str]) -> dict[Modality, list[str]]:
    """Return who can serve each kind of work at once: with a key that is there, and a latency to choose it by."""
    return {
        modality: [
            provider for provider in providers if is_usable(provider, environ) and _has_baseline(provider, modality)
        ]
        for modality in ROUTED
    }


def is_usable(provider: str, environ: Mapping[str, str]) -> bool:
    """Say whether a provider needs no key, or has one here."""
    return BY_ID[provider].is_local or key_variable(provider, environ) is not None


def _has_baseline(provider: str, modality: Modality) -> bool:
    return any(baseline.modality is modality for baseline in BY_ID[provider].baselines)


def _roster_line(modality: Modality, roster: Sequence[str]) -> str:
    if roster:
        return f"        {modality}: [{', '.join(roster)}]\n"
    usual = [provider for provider in BY_ID if serves(provider, modality) and _has_baseline(provider, modality)]
    return f"        {modality}: []  # nobody yet, so nothing is routed; one of {', '.join(usual)}\n"


def _entry(provider: str, environ: Mapping[str, str]) -> str:
    if BY_ID[provider].is_local:
        return f"  {provider}: {{}}  # a local server; it costs nothing and needs no key"
    name = key_variable(provider, environ)
    if name is not None:
        return f'  {provider}: {{api_key: "${{{name}}}"}}'
    return f'  {provider}: {{api_key: "${{{KEYS[provider][0]}:-}}"}}  # not set yet: until then agents bring their own'


def refuse_to_overwrite(path: Path) -> None:
    """Raise `Exists` if there is anything at the path."""
    if os.path.lexists(path):
        raise Exists(f"{path} exists already; --force overwrites it, --output names another")


def write(path: Path, text: str, *, can_overwrite: bool) -> None:
    """Write the whole file or nothing; without ``can_overwrite`` never over one that is there."""
    target = path.resolve()
    beside = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if not can_overwrite:
            _claim(target)
        beside.replace(target)
    except FileExistsError:
        raise Exists(f"{path} was made meanwhile; --force overwrites it, --output names another") from None
    except OSError as error:
        raise SidecarError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}") from None
    finally:
        beside.unlink(missing_ok=True)


def _claim(target: Path) -> None:
    """Make an empty file where nothing is: what comes there meanwhile is not overwritten."""
    target.open("x").close()

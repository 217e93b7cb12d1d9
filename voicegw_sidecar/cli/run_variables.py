"""Which variables ``run`` sets in the agent's environment, and why it leaves others alone. Pure.

A variable is set only where it is safe: never over one that the user has pointed elsewhere, and not where the calls
it moves here would be refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from msgspec import Struct

from voicegw_sidecar.cli.meant import needs_key, serves
from voicegw_sidecar.cli.variables import BASE_URLS, BaseUrl, key_variable, project_path
from voicegw_sidecar.config import Catalog, Project
from voicegw_sidecar.config.address import is_loopback
from voicegw_sidecar.config.schema import BUILTIN_PROJECT
from voicegw_sidecar.terms import ROUTED, Modality, Secret

INFERENCE = "LIVEKIT_INFERENCE_URL"
URL, PROJECT = "VOICEGW_URL", "VOICEGW_PROJECT"
_INFERENCE_KEY, _INFERENCE_SECRET = "LIVEKIT_INFERENCE_API_KEY", "LIVEKIT_INFERENCE_API_SECRET"
_ANY_SECRET = "any-text-will-do-as-no-agent-key-is-configured"
_SPOKEN = {Modality.STT: "speech-to-text", Modality.LLM: "language models", Modality.TTS: "text-to-speech"}


class Variable(Struct, frozen=True):
    """A variable, and what becomes of it: its new value, or why it keeps the one it has or has none."""

    name: str
    value: str | None = None
    why_not: str = ""


class Here(Struct, frozen=True):
    """Where the agent's calls are to go: the sidecar's address, and the project, None where none need be named."""

    address: str
    project: str | None
    catalog: Catalog
    is_guarded: bool = False
    """The project is known to have agent keys, though perhaps not from the configuration file."""

    @property
    def base(self) -> str:
        """The address with the project in its path."""
        return f"{self.address}{project_path(self.project)}"

    def paying(self) -> Project:
        """Return the project's settings; of one made at run time the file knows none."""
        projects = self.catalog.projects
        name = self.project or self.catalog.default_project
        return projects.get(name) or Project(id=name)

    def needs_agent_key(self) -> bool:
        """Say whether the sidecar serves only who presents one of the project's agent keys."""
        is_near = is_loopback(urlsplit(self.address).hostname or "")
        return self.is_guarded or bool(self.paying().agent_keys) or not is_near


def project_named(catalog: Catalog, chosen: str | None) -> str | None:
    """Return the project that addresses name: the chosen or the default one, None where neither needs a name."""
    name = chosen or catalog.default_project
    return None if name == catalog.default_project == BUILTIN_PROJECT else name


def variables(here: Here, environ: Mapping[str, str]) -> list[Variable]:
    """Return what becomes of every variable that moves calls here."""
    return [*_own(here, environ), *(_base_url(here, base, environ) for base in BASE_URLS), *_inference(here, environ)]


def _own(here: Here, environ: Mapping[str, str]) -> Iterator[Variable]:
    """Yield those by which ``voicegw_sidecar.inference`` finds this sidecar, and the project that pays."""
    found = environ.get(URL)
    if found and found.rstrip("/") != here.address:
        yield Variable(URL, why_not="it is set to another address")
        return
    yield Variable(URL, here.address)
    if here.project is not None:
        yield Variable(PROJECT, here.project)


def _base_url(here: Here, base: BaseUrl, environ: Mapping[str, str]) -> Variable:
    value = f"{here.base}/{base.provider}{base.suffix}"
    found = environ.get(base.name)
    if found and found.rstrip("/") not in (base.default, base.default.removesuffix("/v1"), value):
        why = f"it is set to another address; to meter these calls, give it to providers.{base.provider}.base_url"
        return Variable(base.name, why_not=why)
    if here.needs_agent_key():
        name = key_variable(base.provider, environ)
        if name is None or Secret(environ[name]) not in here.paying().agent_keys:
            return Variable(base.name, why_not=f"{_who(here)}, and {name or 'no key variable'} holds none")
    return Variable(base.name, value)


def _inference(here: Here, environ: Mapping[str, str]) -> Iterator[Variable]:
    """Yield LiveKit Inference's: all three kinds of work go where it points, so all three have to be served."""
    value, found = f"{here.base}/v1", environ.get(INFERENCE)
    if found and found.rstrip("/") != value:
        yield Variable(INFERENCE, why_not="it is set to another address")
        return
    missing = [_SPOKEN[modality] for modality in ROUTED if not _is_served(here, modality)]
    if missing:
        yield Variable(INFERENCE, why_not=f"no key is configured here for {', '.join(missing)}")
        return
    name, secret = _credentials(environ)
    if here.needs_agent_key():
        paying = here.paying()
        if name != paying.id or not secret or Secret(secret) not in paying.agent_keys:
            why = f"{_who(here)}: {_INFERENCE_SECRET} has to be one, and {_INFERENCE_KEY} the project"
            yield Variable(INFERENCE, why_not=why)
            return
    elif not (name and secret):  # LiveKit's client refuses to start without; the sidecar does not look at them
        yield Variable(_INFERENCE_KEY, here.paying().id)
        yield Variable(_INFERENCE_SECRET, _ANY_SECRET)
    yield Variable(INFERENCE, value)


def _credentials(environ: Mapping[str, str]) -> tuple[str, str]:
    """Return what LiveKit's client would sign its tokens by."""
    return (
        environ.get(_INFERENCE_KEY, environ.get("LIVEKIT_API_KEY", "")),
        environ.get(_INFERENCE_SECRET, environ.get("LIVEKIT_API_SECRET", "")),
    )


def _is_served(here: Here, modality: Modality) -> bool:
    """Say whether somebody with a key, or without need of one, does this kind of work for the project."""
    paying = here.paying()
    roster = [entry.provider for entry in getattr(paying.routing.rosters, modality.value)]
    candidates = roster or [*here.catalog.config.providers, *paying.providers]
    return any(
        serves(provider, modality) and (not needs_key(provider) or _has_key(here, paying, provider))
        for provider in candidates
    )


def _has_key(here: Here, paying: Project, provider: str) -> bool:
    own, top = paying.providers.get(provider), here.catalog.config.providers.get(provider)
    return any(entry is not None and entry.api_key for entry in (own, top))


def _who(here: Here) -> str:
    return f"project {here.paying().id} serves only who presents one of its agent keys"

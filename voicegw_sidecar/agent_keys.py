"""Agent keys: which project a data-plane request belongs to by the credential it presents. Pure.

A key is looked for wherever an SDK puts its API key; what it is called there does not matter. LiveKit Inference does
not send it but signs a token with it, whose issuer is the project.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Iterable, Mapping

import jwt
from jwt.warnings import InsecureKeyLengthWarning

from voicegw_sidecar.config.schema import Project
from voicegw_sidecar.credentials import Headers, presented
from voicegw_sidecar.errors import Forbidden, Unauthorized

_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
_LEEWAY_S = 60  # clocks of two machines differ


class AgentKeys:
    """The agent keys of one configuration."""

    def __init__(self, projects: Mapping[str, Project]) -> None:
        self._owners = {
            _digest(key.reveal()): project.id for project in projects.values() for key in project.agent_keys
        }
        self._guarded = frozenset(self._owners.values())
        self._secrets = {project.id: project.agent_keys for project in projects.values() if project.agent_keys}

    def owner(self, headers: Headers, query: str) -> str | None:
        """Return the project whose agent key a request presents, or None where it presents none."""
        if not self._owners:
            return None
        return self._owner(presented(headers, query))

    def is_key(self, text: str) -> bool:
        """Say whether a text is one of the agent keys."""
        return bool(text) and _digest(text) in self._owners

    def project(self, owner: str | None, named: str | None, default: str) -> str:
        """Return the project that pays: the credential decides, not the path and not a header.

        Raises `Forbidden` where a request names another project than its key's, `Unauthorized` where a project
        has agent keys and the request presents none of them.
        """
        if owner is not None:
            if named is not None and named != owner:
                raise Forbidden("this agent key belongs to another project than the one the address names")
            return owner
        project = named if named is not None else default
        if project in self._guarded:
            raise Unauthorized(f"project {project} needs one of its agent keys in place of the provider's key")
        return project

    def _owner(self, keys: Iterable[str]) -> str | None:
        for key in keys:
            # found by digest: how long the search takes tells nothing of a key
            owner = self._owners.get(_digest(key)) or self._signer(key)
            if owner is not None:
                return owner
        return None

    def _signer(self, text: str) -> str | None:
        """Return the project that a token names as its issuer, if one of that project's keys signed it."""
        if _TOKEN.fullmatch(text) is None:
            return None
        try:
            issuer = jwt.decode(text, options={"verify_signature": False}).get("iss")
        except jwt.PyJWTError:
            return None
        for key in self._secrets.get(issuer, ()) if isinstance(issuer, str) else ():
            with warnings.catch_warnings():  # how long a key has to be is the operator's to say
                warnings.simplefilter("ignore", InsecureKeyLengthWarning)
                try:
                    jwt.decode(text, key.reveal(), ["HS256"], options={"require": ["exp", "iss"]}, leeway=_LEEWAY_S)
                except jwt.PyJWTError:
                    continue
            return issuer
        return None


def has_livekit_token(headers: Headers) -> bool:
    """Say whether a request carries a token of LiveKit Inference, which is for the sidecar and for nobody else."""
    return any(_TOKEN.fullmatch(text) is not None and "inference" in _claims(text) for text in presented(headers, ""))


def _claims(token: str) -> Mapping[str, object]:
    try:
        claims: dict[str, object] = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return {}
    return claims


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()

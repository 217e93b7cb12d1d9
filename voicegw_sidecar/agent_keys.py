"""Agent keys: which project a data-plane request belongs to by the credential it presents. Pure.

Only digests are kept. A key is looked for wherever an SDK puts its API key; what it is called there does
not matter. On LiveKit Inference the key signs a token and is not sent: that is the unified endpoints' matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from voicegw_sidecar.config.schema import Project
from voicegw_sidecar.credentials import Headers, presented
from voicegw_sidecar.errors import Forbidden, Unauthorized


class AgentKeys:
    """The agent keys of one configuration."""

    def __init__(self, projects: Mapping[str, Project]) -> None:
        self._owners = {
            _digest(key.reveal()): project.id for project in projects.values() for key in project.agent_keys
        }
        self._guarded = frozenset(self._owners.values())

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
        # found by digest: how long the search takes tells nothing of a key
        return next((owner for key in keys if (owner := self._owners.get(_digest(key))) is not None), None)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()

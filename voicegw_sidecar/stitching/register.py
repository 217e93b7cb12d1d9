"""Who is told what was found out, and asked what is over: the sessions that conversations become."""

from __future__ import annotations

from typing import Protocol

from voicegw_sidecar.stitching.conversation import Conversation, Strand
from voicegw_sidecar.terms import Basis


class Register(Protocol):
    """Is told what was found out."""

    def is_closed(self, project: str, session_id: str) -> bool:
        """Say whether a session is closed: only calls that name it are put into it."""
        ...

    def moved(self, strand: Strand) -> None:
        """An exchange whose row is closed belongs to another session than its row says."""
        ...

    def merged(self, gone: Conversation, into: Conversation, basis: Basis) -> None:
        """Two conversations were found to be one."""
        ...

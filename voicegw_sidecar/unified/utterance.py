"""One utterance of an agent's ``/v1/tts`` socket, from its first text to how it went."""

from __future__ import annotations

import asyncio
import contextlib
import secrets

from msgspec import Struct

from voicegw_sidecar.errors import BadRequest, SidecarError

LIMIT_CHARS = 100_000
"""The longest utterance, which is kept as long as it is spoken; more of it is refused."""


class Manner(Struct, frozen=True):
    """How an utterance is to be spoken; None leaves it to the provider's usual."""

    model: str | None
    voice: str | None
    language: str | None


class Utterance:
    """What is to be spoken, and how far that has come."""

    def __init__(self, manner: Manner, first: str) -> None:
        self.id = secrets.token_hex(6)
        self.manner = manner
        self.texts: list[str] = []
        self.is_flushed = False
        self.has_audio = False
        self._size_chars = 0
        self._outcome: asyncio.Future[SidecarError | None] = asyncio.get_running_loop().create_future()
        self._patience: asyncio.Timeout | None = None
        self.add(first)

    def add(self, text: str) -> None:
        """Take more text; raises `BadRequest` for what is too much."""
        self._size_chars += len(text)
        if self._size_chars > LIMIT_CHARS:
            raise BadRequest(
                "transcript: found more of one utterance than is taken: it has "
                f"{LIMIT_CHARS} characters at most; send session.flush"
            )
        self.texts.append(text)

    @property
    def has_words(self) -> bool:
        """True where there is something in it that makes a sound."""
        return any(char.isalnum() for text in self.texts for char in text)

    @property
    def is_given_up(self) -> bool:
        """True from when patience ran out until another provider is asked: what comes then comes too late."""
        return not self.has_audio and self._patience is not None and self._patience.expired()

    def begin(self) -> asyncio.Future[SidecarError | None]:
        """Begin, or begin again, with a provider; return how it goes there: None for spoken, or what went wrong."""
        self._outcome = asyncio.get_running_loop().create_future()
        return self._outcome

    def tell(self, outcome: SidecarError | None) -> None:
        """Say how it went, once."""
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    def wait_by(self, patience: asyncio.Timeout) -> None:
        """Have this limit what `wait` says."""
        self._patience = patience

    def wait(self, patience_s: float | None) -> None:
        """Wait for the first audio no longer than so long from now on; None: as long as it takes."""
        if self._patience is not None:
            due_s = None if patience_s is None else asyncio.get_running_loop().time() + patience_s
            with contextlib.suppress(RuntimeError):  # it has just run out
                self._patience.reschedule(due_s)

    def heard(self) -> None:
        """Take note of its first audio."""
        if not self.has_audio:
            self.has_audio = True
            self.wait(None)

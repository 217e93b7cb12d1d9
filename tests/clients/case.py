"""A client case: one call of one real client, the same directly and through the sidecar, well and under each fault.

A case says how the client is pointed somewhere, and returns what its user would get. `runs` plays it, `test_cases`
compares, `matrix` writes the table of docs/providers.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from msgspec import Struct

from voicegw_sidecar.simulator import Failure, FailureKind

TIMEOUT_S = 1.5
"""What a case gives its client as time limit, where the client takes one: a hanging provider is noticed after it."""
LIMIT_S = 8.0
"""What a run may take, unless its case says otherwise."""


class Case(Struct, frozen=True):
    """One call of one client.

    ``client`` and ``call`` name it in the table ("openai SDK", "chat, streamed"). ``endpoint`` is the simulator's
    name of what it uses, ``provider`` the sidecar's. ``run(base)`` does it: ``base`` is the provider's address, as
    in ``http://127.0.0.1:8080/p/acme/openai``; it returns a value to compare (text, digests of audio, transcripts)
    and lets the client's own exception out. ``paste`` is the line for the documentation, with ``{base}``.
    ``ignores_refusal`` says that the client asks again after a budget's refusal, and how often in all.
    ``faults`` are those that make sense for it; None is all of its kind. ``leaves_early`` says that the client
    goes before the provider is through, so that its row may say so.
    """

    client: str
    call: str
    provider: str
    endpoint: str
    paste: str
    run: Callable[[str], Awaitable[object]]
    is_socket: bool = False
    refused_attempts: int = 1
    faults: frozenset[str] | None = None
    leaves_early: bool = False
    break_after: int = 1
    """Messages or chunks of the answer before it breaks off: so many that the exchange has begun."""
    is_written: bool = False
    """A conversation in text with a model that could speak: nothing is heard, so there is no latency of hearing."""
    limit_s: float = LIMIT_S
    is_unpriced: str = ""
    """Why there is no price, where there is none."""

    @property
    def name(self) -> str:
        """Its id in test names and project ids."""
        words = f"{self.client} {self.call}".lower()
        return "-".join("".join(char if char.isalnum() else " " for char in words).split())


class Fault(Struct, frozen=True):
    """One way the provider fails; ``count`` requests meet it, so that a retry meets it too."""

    name: str
    failure: Failure
    count: int = 4


STATUSES = (401, 402, 429, 500)
BREAKS = {"reset": FailureKind.RESET, "truncated": FailureKind.TRUNCATE, "1011": FailureKind.CLOSE}


def faults_of(case: Case) -> list[Fault]:
    """Return the faults that a case is played under."""
    found = [Fault(str(status), Failure(FailureKind.STATUS, status=status, retry_after_s=_retry_after_s(status)))
             for status in STATUSES]  # fmt: skip
    found.append(Fault("hang", Failure(FailureKind.HANG)))
    found += [
        Fault(name, Failure(kind, after=case.break_after))
        for name, kind in BREAKS.items()
        if case.is_socket or kind is not FailureKind.CLOSE
    ]
    return [fault for fault in found if case.faults is None or fault.name in case.faults]


def _retry_after_s(status: int) -> int | None:
    return 1 if status == 429 else None

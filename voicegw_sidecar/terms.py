"""The field's words as types: what an exchange is, how it ended, what it used and what it cost.

Values only. Knows no wire format, no clock and no storage. Every number carries its unit in its name;
``None`` means "not known" everywhere and is never the same as 0.
"""

from __future__ import annotations

import enum

from msgspec import Struct

NANO_PER_USD = 1_000_000_000
NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Modality(enum.StrEnum):
    """What kind of provider work an exchange is; ``S2S`` is metered but never routed."""

    STT = "stt"
    LLM = "llm"
    TTS = "tts"
    S2S = "s2s"


ROUTED = (Modality.STT, Modality.LLM, Modality.TTS)
"""The modalities of a session's triple, in the order in which a turn passes them."""


class Status(enum.StrEnum):
    """How an exchange stands or ended; the words are those of ``GET /v1/logs``."""

    OPEN = "open"
    """Running: queued when the exchange began, replaced when it ends."""
    OK = "ok"
    """Its protocol end was forwarded, whoever closed afterwards."""
    CANCELLED = "cancelled"
    """The agent left first: a barge-in is normal in voice."""
    REFUSED = "refused"
    """The sidecar refused it; nothing went upstream."""
    UPSTREAM_ERROR = "upstream_error"
    """The provider refused, failed or could not be reached before any output."""
    PARTIAL = "partial"
    """The provider broke off after some output."""
    INTERRUPTED = "interrupted"
    """Open when the sidecar died; closed at the next start with an estimate."""
    IDLE = "idle"
    """The billed remainder of a speech-to-text stream in which nothing was said."""
    DEGRADED = "degraded"
    """Metering failed; the bytes went through and were only counted."""


FAILED = frozenset({Status.REFUSED, Status.UPSTREAM_ERROR, Status.PARTIAL, Status.INTERRUPTED, Status.DEGRADED})
"""How an exchange ended that did not do what it was for; leaving early (``cancelled``) is the agent's right."""


class FirstBasis(enum.StrEnum):
    """Where the end of speech behind a speech-to-text ``first_ms`` came from."""

    PROVIDER = "provider"
    """Audio positions in the provider's own messages."""
    SOUND_LEVEL = "sound_level"
    """The last loud window of the audio that was relayed."""


class CostSource(enum.StrEnum):
    """Where a cost came from; ``NONE`` goes with a null cost, or with 0 where nothing was used."""

    CATALOGUE = "catalogue"
    SUPPLEMENT = "supplement"
    OVERRIDE = "override"
    LOCAL = "local"
    ESTIMATE = "estimate"
    NONE = "none"


class SessionOrigin(enum.StrEnum):
    """How a session came to be."""

    API = "api"
    """It was opened by ``POST /v1/sessions``."""
    NAMED = "named"
    """A call named it: in the path, a header or a LiveKit job id."""
    INFERRED = "inferred"
    """Nothing named it: calls were found to belong together."""


class SessionOutcome(enum.StrEnum):
    """How a session stands: what lists of sessions are filtered by."""

    OPEN = "open"
    OK = "ok"
    """Closed, and none of its exchanges failed."""
    ERRORS = "errors"
    """Closed, and some of its exchanges failed."""


class Basis(enum.StrEnum):
    """How it is known which session an exchange belongs to."""

    NAMED = "named"
    """The agent said so: in the path, a header or a LiveKit job id."""
    TRANSCRIPT = "transcript"
    """What was heard came back as an LLM request's last message."""
    HISTORY = "history"
    """An LLM request repeats what was said before."""
    SPEECH = "speech"
    """What an LLM answered came back as the text to speak."""
    CONNECTION = "connection"
    """It came on a connection that carried calls of that session before."""
    PROCESS = "process"
    """It came from the process whose only session that is."""


class BudgetAction(enum.StrEnum):
    """What happens once a daily budget is reached."""

    WARN = "warn"
    THROTTLE = "throttle"
    BLOCK = "block"


class BudgetStatus(enum.StrEnum):
    """How a project's day stands against its budget."""

    OK = "ok"
    WARNING = "warning"
    EXCEEDED = "exceeded"


class Unpriced(enum.StrEnum):
    """What happens to work whose model has no known price."""

    WARN = "warn"
    BLOCK = "block"
    ESTIMATE = "estimate"


class RoutingPolicy(enum.StrEnum):
    """Which observations a project's routes are chosen by; docs/routing.md has both measured."""

    MEDIAN = "median"
    """The median of the trailing day, as of the last roll-up."""
    ADAPTIVE = "adaptive"
    """The median of the last observations; what is no longer observed fades to its baseline; few sessions explore."""


class Usage(Struct, frozen=True, omit_defaults=True):
    """What one exchange consumed. A field is None when the provider did not say and it could not be counted."""

    input_tokens: int | None = None
    """All input tokens, the cached ones included."""
    cached_input_tokens: int | None = None
    cached_input_audio_tokens: int | None = None
    """Those of the cached tokens that are audio."""
    cache_write_tokens: int | None = None
    """Input tokens written to the provider's cache, dearer than plain ones."""
    output_tokens: int | None = None
    """All output tokens, reasoning included."""
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    audio_s: float | None = None
    """Seconds of audio sent to be recognised, as the provider bills them."""
    audio_out_s: float | None = None
    """Seconds of audio synthesised."""
    characters: int | None = None
    """Unicode code points of the text to speak, joined and stripped."""


NOTHING_USED = Usage()


class Mark(enum.StrEnum):
    """A moment of an exchange, stamped with the monotonic clock; ``docs/measuring.md`` defines each."""

    STARTED = "started"
    """The exchange began: its request was read (HTTP), or its first text or audio (sockets)."""
    REQUEST_COMPLETE = "request_complete"
    """Last request byte read from the agent (HTTP)."""
    FIRST_TEXT_SENT = "first_text_sent"
    """First text to speak that is not blank read from the agent."""
    SPEECH_BEGAN = "speech_began"
    """The audio in which the utterance's speech began was relayed."""
    SPEECH_ENDED = "speech_ended"
    """The audio in which speech ended was relayed."""
    FIRST_BYTE = "first_byte"
    """First response byte read from the provider."""
    FIRST_TOKEN = "first_token"
    """First content or tool-call fragment read from the provider."""
    FIRST_CONTENT = "first_content"
    """First fragment of content read from the provider: text or a refusal, not a tool call."""
    FIRST_AUDIO = "first_audio"
    """First audio read from the provider."""
    FINAL = "final"
    """Final transcript read from the provider."""
    ENDED = "ended"
    """Protocol end, or the close that took its place."""


class Moments(Struct, frozen=True):
    """The moments of an exchange that turns are told from, in wall-clock nanoseconds; None where not seen."""

    asked_ns: int | None = None
    """LLM and uploads: the request was complete. TTS: the first text was sent."""
    first_ns: int | None = None
    """The first useful output: token, audio, or final transcript."""
    content_ns: int | None = None
    """LLM: the first content."""
    speech_began_ns: int | None = None
    speech_ended_ns: int | None = None


class Exchange(Struct, frozen=True):
    """One metered unit of provider work as the meter saw it: no money, no identity, no storage.

    ``ref`` numbers the exchanges of one connection from 0. ``marks_ns`` holds monotonic stamps; a mark
    that was not seen is absent. ``first_ms`` and ``total_ms`` are milliseconds.
    """

    ref: int
    modality: Modality | None
    model: str | None
    status: Status
    marks_ns: dict[Mark, int]
    usage: Usage = NOTHING_USED
    first_ms: float | None = None
    first_ms_basis: FirstBasis | None = None
    total_ms: float | None = None
    estimated: bool = False
    """True where part of ``usage`` is the sidecar's estimate, not a report and not a count."""
    key: str = ""
    """Names it within its connection while it is open: a context id, a response id, or "" (see ``events``)."""
    error: str | None = None
    """A short code such as ``http_429`` or the provider's own error code; never its text."""


class Cost(Struct, frozen=True):
    """What an exchange cost: integer nano-dollars, or None where no price is known."""

    nanousd: int | None
    source: CostSource
    estimated: bool = False


class RosterEntry(Struct, frozen=True):
    """One entry of a roster: a provider, pooled over its models, or narrowed to one of them."""

    provider: str
    model: str | None = None
    variant: str | None = None
    """The voice (tts) or the language (stt)."""

    def __str__(self) -> str:
        model = "" if self.model is None else f"/{self.model}"
        return f"{self.provider}{model}" + ("" if self.variant is None else f":{self.variant}")


class Secret:
    """A credential that cannot be printed by accident; ``reveal`` is the only way to its value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the credential itself; for the one line that puts it on the wire or compares it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __str__(self) -> str:
        return "…"

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

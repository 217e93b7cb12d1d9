"""What the simulated providers do: how fast they answer, what they say, and how they fail.

Values only. The defaults are deterministic and about as fast as the real providers; every latency is in
milliseconds and starts where the field says. Documented in docs/simulator.md.
"""

from __future__ import annotations

import enum

from msgspec import Struct

ENDPOINTS = (
    "openai.root",
    "openai.models",
    "openai.chat",
    "openai.speech",
    "openai.transcriptions",
    "openai.responses",
    "openai.responses_socket",
    "openai.realtime",
    "groq.models",
    "groq.chat",
    "groq.speech",
    "groq.transcriptions",
    "deepgram.listen",
    "deepgram.speak",
    "deepgram.flux",
    "deepgram.flux_speak",
    "deepgram.prerecorded",
    "deepgram.speech",
    "deepgram.flux_speech",
    "cartesia.tts",
    "cartesia.turns",
    "cartesia.manual",
    "cartesia.batch",
    "cartesia.bytes",
    "cartesia.sse",
    "anthropic.messages",
    "anthropic.models",
    "elevenlabs.speech",
    "elevenlabs.stream",
    "elevenlabs.contexts",
    "elevenlabs.transcribe",
    "elevenlabs.scribe",
    "assemblyai.live",
    "assemblyai.upload",
    "assemblyai.transcript",
    "assemblyai.poll",
    "ollama.models",
    "ollama.openai_chat",
    "ollama.chat",
    "ollama.generate",
    "whisper.transcriptions",
    "kokoro.speech",
    "piper.speech",
)
"""Every endpoint by the name that rules, failures and the ledger use."""

SOCKETS = frozenset(
    {
        "openai.responses_socket",
        "openai.realtime",
        "deepgram.listen",
        "deepgram.speak",
        "deepgram.flux",
        "deepgram.flux_speak",
        "cartesia.tts",
        "cartesia.turns",
        "cartesia.manual",
        "elevenlabs.stream",
        "elevenlabs.contexts",
        "elevenlabs.scribe",
        "assemblyai.live",
    }
)


class FailureKind(enum.StrEnum):
    """The ways a provider can fail."""

    STATUS = "status"
    """Refuse with ``status`` and the provider's own error body; a WebSocket is refused before its upgrade."""
    HANG = "hang"
    """Send ``after`` chunks or messages, then nothing, and keep the connection open."""
    RESET = "reset"
    """Send ``after`` chunks or messages, then reset the TCP connection."""
    TRUNCATE = "truncate"
    """Send ``after`` chunks or messages, then end the TCP connection without the protocol's own end."""
    CLOSE = "close"
    """WebSocket only: send ``after`` messages, then close with ``code``."""
    SLOW = "slow"
    """HTTP only: send the body byte by byte, ``bytes_per_s`` of them."""


class Failure(Struct, frozen=True, forbid_unknown_fields=True):
    """One way to fail. ``after`` counts what is still sent properly: body chunks, or WebSocket messages."""

    kind: FailureKind
    status: int = 500
    code: int = 1011
    reason: str = "internal server error"
    after: int = 0
    bytes_per_s: float = 1.0
    retry_after_s: int | None = None
    body: str | None = None
    """Sent instead of the provider's own error body."""


class Rule(Struct, frozen=True, forbid_unknown_fields=True):
    """A standing failure: every ``every``-th request of ``endpoint`` whose line, headers or body hold ``match``."""

    endpoint: str
    failure: Failure
    match: str = ""
    every: int = 1


class Thinking(Struct, frozen=True, forbid_unknown_fields=True):
    """How the language model answers."""

    first_token_ms: float = 180.0
    """From the complete request to the first content or tool-call fragment."""
    token_interval_ms: float = 6.0
    answers: tuple[str, ...] = (
        "Of course, I can help you with that. Let me look it up for you right now.",
        "Your order left the warehouse this morning. It should reach you on Thursday before noon.",
        "I have moved your appointment to Friday at ten. You will get a message to confirm it.",
        "That is all set. Is there anything else I can do for you today?",
    )
    """Given in rotation; one word is one token."""
    tool: str | None = None
    """Always call this tool; without it only a question about the weather calls the first tool offered."""
    tool_arguments: str | None = None
    """JSON text of the arguments; without it they are filled in from the tool's schema."""
    usage: bool = True
    """Whether a stream honours ``stream_options.include_usage``."""
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class Listening(Struct, frozen=True, forbid_unknown_fields=True):
    """How speech is recognised. Silences and intervals are in audio time, latencies in real time."""

    final_ms: float = 120.0
    """From the end of speech being noticed (or the complete upload) to the final transcript."""
    interim_every_ms: float = 300.0
    hangover_ms: float = 200.0
    """Silence that belongs to speech: pauses inside words, which no real recogniser takes for its end."""
    eager_end: bool = False
    """Cartesia: announce the end of a turn as soon as it is noticed, before its final transcript."""
    idle_close_s: float = 10.0
    """Deepgram: close a socket on which neither audio nor KeepAlive arrived for so long."""
    utterances: tuple[str, ...] = (
        "Hello, I would like to know where my order is.",
        "Can you move my appointment to Friday?",
        "What is the weather like in Paris today?",
        "Thank you, that is all I needed.",
    )
    """Understood in rotation, whichever connection asks."""


class Speaking(Struct, frozen=True, forbid_unknown_fields=True):
    """How speech is synthesised."""

    first_audio_ms: float = 90.0
    """From the text to its first audio."""
    s_per_char: float = 0.06
    chunk_ms: float = 100.0
    """Audio in one chunk."""
    pace: float = 10.0
    """How much faster than real time the chunks are sent."""
    context_expiry_ms: float = 5000.0
    """Cartesia: a context that is told nothing for so long is done."""


class Script(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything the simulated providers do; a Simulator's script can be replaced while it runs."""

    chat: Thinking = Thinking()
    speech: Speaking = Speaking(first_audio_ms=250.0)
    transcription: Listening = Listening(final_ms=300.0)
    listen: Listening = Listening()
    speak: Speaking = Speaking()
    tts: Speaking = Speaking()
    turns: Listening = Listening(hangover_ms=300.0)
    rules: tuple[Rule, ...] = ()
    refuses_model_of_transcription: bool = False
    """OpenAI: refuse a realtime transcription session that names a model in its address, as the real one does."""
    keys: tuple[str, ...] = ()
    """Keys that are accepted; with none every key is."""
    gzip: bool = False
    """Compress HTTP answers for clients that accept it."""
    jitter: float = 0.0
    """Share by which each latency may differ, drawn from ``seed``: 0.2 is up to 20 % more or less."""
    seed: int = 0


def problem_of(endpoint: str, failure: Failure) -> str | None:
    """Return why this failure cannot be played at this endpoint, or None."""
    if endpoint not in ENDPOINTS:
        return f"endpoint: expected one of {', '.join(ENDPOINTS)}, got {endpoint!r}"
    if failure.kind == FailureKind.CLOSE and endpoint not in SOCKETS:
        return f"failure.kind: 'close' needs a WebSocket endpoint, got {endpoint!r}"
    if failure.kind == FailureKind.SLOW and endpoint in SOCKETS:
        return f"failure.kind: 'slow' needs an HTTP endpoint, got {endpoint!r}"
    return None

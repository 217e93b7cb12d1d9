"""The neutral voice events: what every wire protocol is decoded into, once.

A closed union. An event says what happened in an exchange, never when: the caller knows the time of the
frame it came from. ``key`` names the exchange within its connection (a context id, a response id, or "").
"""

from __future__ import annotations

from msgspec import Struct

from voicegw_sidecar.terms import Modality, Usage
from voicegw_sidecar.wire.pcm import PcmFormat

SAID_LIMIT = 12
SAID_LIMIT_CHARS = 4000
"""Of a longer message the end counts."""
MESSAGE_LIMIT_CHARS = 500
"""So much of a provider's error text is passed on."""


class Began(Struct, frozen=True, tag=True):
    """The agent began an exchange; ``modality`` is None for an endpoint that is not understood.

    ``input_chars`` is the length of a prompt, kept only to estimate tokens; ``audio_s`` the seconds of an
    uploaded recording. ``bills_session`` marks a speech-to-text stream that is billed by the time its session
    is open, not by the audio sent.
    """

    modality: Modality | None
    key: str = ""
    model: str | None = None
    input_chars: int | None = None
    audio_s: float | None = None
    bills_session: bool = False


class Said(Struct, frozen=True):
    """A message of a conversation so far, by the person or by the agent; ``text`` is at most `SAID_LIMIT_CHARS`."""

    text: str
    is_user: bool


class Prompted(Struct, frozen=True, tag=True):
    """What was said before an LLM is asked: the last `SAID_LIMIT` messages, oldest first, instructions left out.

    ``is_continued``: something else follows the person's last message, such as the result of a tool. It tells which
    conversation a request belongs to; it is never logged or stored.
    """

    said: tuple[Said, ...]
    key: str = ""
    is_continued: bool = False


class RequestComplete(Struct, frozen=True, tag=True):
    """The agent's request is complete: the moment that LLM and batch latencies count from."""

    key: str = ""


class Answered(Struct, frozen=True, tag=True):
    """The head of the provider's answer arrived: its first byte."""

    key: str = ""


class TextIn(Struct, frozen=True, tag=True):
    """Text to speak; the moment of the first one that is not blank starts a TTS latency."""

    text: str
    key: str = ""


class AudioIn(Struct, frozen=True, tag=True):
    """Audio of a stream that is billed by what is sent, silence included; it begins an utterance by itself.

    ``pcm`` is None for compressed audio, whose length cannot be told from its bytes.
    """

    data: bytes
    pcm: PcmFormat | None
    key: str = ""


class Heard(Struct, frozen=True, tag=True):
    """Audio that the provider listens to without billing its seconds: it only tells when speech ended."""

    data: bytes
    pcm: PcmFormat | None


class SpeechEnded(Struct, frozen=True, tag=True):
    """The speech that an exchange answers or transcribes has ended.

    ``position_s`` is where, in seconds from the start of the audio; None where only the sound level tells.
    """

    position_s: float | None
    key: str = ""


class ToolCall(Struct, frozen=True):
    """A piece of a call of a tool: the first piece of a call has its ``id`` and ``name``, each a part of its arguments.

    ``index`` counts the calls of one answer from 0; ``arguments`` is a part of JSON text.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


class TextOut(Struct, frozen=True, tag=True):
    """A fragment of an LLM's answer: content, or, with ``is_call``, the name or arguments of a tool call.

    ``call`` is such a fragment in parts, where the dialect is one that answers are translated from.
    """

    text: str
    key: str = ""
    is_call: bool = False
    call: ToolCall | None = None


class Reasoned(Struct, frozen=True, tag=True):
    """A fragment of an LLM's reasoning: billed as output, but no answer yet."""

    text: str
    key: str = ""


class AudioOut(Struct, frozen=True, tag=True):
    """Synthesised audio; ``audio_s`` is None where the encoding does not tell seconds.

    ``audio`` is as it came: bytes, or base64 text; empty where an answer is never translated.
    """

    audio_s: float | None
    key: str = ""
    audio: bytes | str = b""


class Interim(Struct, frozen=True, tag=True):
    """A transcript that may still change; never empty.

    ``is_eager``: the provider believes that the person may have come to an end.
    """

    text: str
    key: str = ""
    is_eager: bool = False


class Word(Struct, frozen=True):
    """A word of a transcript and where it is, in seconds from the start of the stream."""

    text: str
    start_s: float | None = None
    end_s: float | None = None
    confidence: float | None = None
    speaker: str | None = None


class Final(Struct, frozen=True, tag=True):
    """A piece of transcript that no longer changes; never empty.

    ``speech_start_s`` and ``speech_end_s`` are the audio positions, in seconds from the start of the stream, between
    which it was spoken; ``language`` is what the provider calls the one it heard.
    """

    text: str
    speech_end_s: float | None = None
    speech_start_s: float | None = None
    key: str = ""
    words: tuple[Word, ...] = ()
    language: str | None = None
    confidence: float | None = None


class UtteranceEnded(Struct, frozen=True, tag=True):
    """The provider declared the utterance over; closes it if a final piece was heard."""

    key: str = ""


class StreamDuration(Struct, frozen=True, tag=True):
    """The provider's own figure for the audio of the whole stream, in seconds: what it bills."""

    audio_s: float
    key: str = ""


class Used(Struct, frozen=True, tag=True):
    """The provider's own usage figures for an exchange; a later one replaces an earlier one."""

    usage: Usage
    key: str = ""


class Named(Struct, frozen=True, tag=True):
    """The model an exchange really runs on, where only the answer tells."""

    model: str
    key: str = ""


class OtherRates(Struct, frozen=True, tag=True):
    """The provider bills this exchange by other rates than its plain ones: a service tier. Its price is an estimate."""

    key: str = ""


class Deferred(Struct, frozen=True, tag=True):
    """The provider took the work and will have its result later: it is asked for by this id, on other connections."""

    job_id: str
    key: str = ""


class Finished(Struct, frozen=True, tag=True):
    """The protocol's own end of an exchange: complete, whatever closes afterwards.

    ``reason`` is why an LLM stopped, in OpenAI's words (``stop``, ``length``, ``tool_calls``, ``content_filter``);
    "" where it is not told or nobody needs it.
    """

    key: str = ""
    reason: str = ""


class Stopped(Struct, frozen=True, tag=True):
    """The agent told the provider to stop an exchange: a barge-in."""

    key: str = ""


class Failed(Struct, frozen=True, tag=True):
    """The provider reported an error; ``code`` is short and never the provider's text. "*" means all open ones.

    ``message`` is the provider's text: for the agent that is answered by translation, never logged and never stored.
    """

    code: str
    key: str = ""
    message: str = ""


Event = (
    Began
    | Prompted
    | RequestComplete
    | Answered
    | TextIn
    | AudioIn
    | Heard
    | SpeechEnded
    | TextOut
    | Reasoned
    | AudioOut
    | Interim
    | Final
    | UtteranceEnded
    | StreamDuration
    | Used
    | Named
    | OtherRates
    | Deferred
    | Finished
    | Stopped
    | Failed
)

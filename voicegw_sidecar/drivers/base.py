"""What a driver is: an ask put into one provider's messages. The way back is the provider's own dialect.

Sans IO: a driver says which address to dial and what to send, and knows no socket, no clock and no key. What
cannot be put into the provider's words is a :class:`BadRequest` that names it, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from voicegw_sidecar.asks import ListenAsk, RecordingAsk, Sound, SpeakAsk, SpeechAsk
from voicegw_sidecar.events import Word
from voicegw_sidecar.wire.frames import Kind

Pairs = tuple[tuple[str, str], ...]


class Message(Struct, frozen=True):
    """One WebSocket message to the provider: TEXT in UTF-8, or BINARY."""

    kind: Kind
    data: bytes


Messages = tuple[Message, ...]


class SocketAddress(Struct, frozen=True):
    """Where to dial, below the provider's address; ``headers`` hold no credentials."""

    path: str
    query: Pairs = ()
    headers: Pairs = ()


class ListenDriver(Protocol):
    """One live stream of speech. Made by a ``ListenFactory``, which raises `BadRequest` for what cannot be."""

    @property
    def address(self) -> SocketAddress:
        """Where to dial."""
        ...

    @property
    def rate_hz(self) -> int:
        """The rate that the provider is sent: the ask's own where it takes it, else the caller of `audio` converts."""
        ...

    @property
    def keepalive_s(self) -> float | None:
        """How long the provider may go without a message before `keepalive` is due; None where it needs none."""
        ...

    def opening(self) -> Messages:
        """What to send first, before any audio."""
        ...

    def audio(self, samples: bytes) -> Messages:
        """Put 16-bit little-endian mono samples at `rate_hz` into messages; may keep a part until more comes."""
        ...

    def finalize(self) -> Messages:
        """Ask for the final transcript of what was sent so far; the stream goes on."""
        ...

    def keepalive(self) -> Messages:
        """What keeps a stream open on which nothing is sent."""
        ...

    def finish(self) -> Messages:
        """Say that no more audio comes: the provider sends what is left and closes."""
        ...

    @property
    def finish_transcribes(self) -> bool:
        """True where `finish` has what is left transcribed, be it silence: it is left out where nothing was said."""
        ...

    @property
    def pause_s(self) -> float:
        """The silence after which the provider gives the final transcript of what was said before."""
        ...

    def is_over(self, data: bytes) -> bool:
        """Say whether a text message of the provider says that after `finish` nothing more will come.

        Is shown every text message, in order and from the beginning: some providers tell it only by all that is still
        owed. False for a provider that simply closes the socket.
        """
        ...


class SpeakDriver(Protocol):
    """One socket on which utterance follows utterance; one at a time."""

    @property
    def address(self) -> SocketAddress:
        """Where to dial."""
        ...

    @property
    def rate_hz(self) -> int:
        """The rate of the 16-bit little-endian mono samples that the provider sends."""
        ...

    @property
    def keepalive_s(self) -> float | None:
        """See `ListenDriver.keepalive_s`."""
        ...

    def opening(self) -> Messages:
        """What to send first."""
        ...

    def speak(self, text: str) -> Messages:
        """More text of the current utterance; the first of it begins a new one."""
        ...

    def flush(self) -> Messages:
        """Say that the current utterance has no more text."""
        ...

    @property
    def ends(self) -> int:
        """How many `Finished` the dialect tells for what was sent of the current utterance so far; 0 before any text.

        The utterance is over once it is flushed and as many have come.
        """
        ...

    @property
    def is_due(self) -> bool:
        """True once the provider has something of the current utterance that it speaks without waiting for more."""
        ...

    def ended(self) -> None:
        """Take note that as many `Finished` came as `ends` says, though the utterance was not flushed.

        Providers end by themselves what they are told nothing more of; what is told later is to be spoken all the same.
        """
        ...

    def cancel(self) -> Messages:
        """Stop the current utterance at once, where the protocol can; nothing where it cannot."""
        ...

    def keepalive(self) -> Messages:
        """What keeps an idle socket open."""
        ...

    def finish(self) -> Messages:
        """What to send before the socket is closed in good order."""
        ...


class ProviderRequest(Struct, frozen=True):
    """One HTTP request to a provider, without its credentials; ``path`` is below its address."""

    method: str
    path: str
    query: Pairs
    headers: Pairs
    body: bytes


class SpeechRequest(Struct, frozen=True):
    """A request for speech, and what its answer's body is: bytes of ``gives``, as they come."""

    request: ProviderRequest
    gives: Sound


class Segment(Struct, frozen=True):
    """A stretch of a transcript, in seconds from the start of the recording."""

    text: str
    start_s: float
    end_s: float


class Transcript(Struct, frozen=True):
    """What a provider made of a recording; what it does not tell is None or empty."""

    text: str
    language: str | None = None
    duration_s: float | None = None
    words: tuple[Word, ...] = ()
    segments: tuple[Segment, ...] = ()


class RecordingDriver(Protocol):
    """One recording to be transcribed, in one or several requests, one after the other."""

    def request(self) -> ProviderRequest:
        """The first request."""
        ...

    def answered(self, body: bytes) -> Transcript | ProviderRequest | None:
        """Take a whole answer of status 2xx: the transcript, or the next request; None where it is neither.

        The next request is a question about work that takes its time where its method is GET: it is sent after a
        pause, and again as long as this returns the same.
        """
        ...


ListenFactory = Callable[[ListenAsk], ListenDriver]
SpeakFactory = Callable[[SpeakAsk], SpeakDriver]
SpeechFactory = Callable[[SpeechAsk], SpeechRequest]
RecordingFactory = Callable[[RecordingAsk], RecordingDriver]


class Voices(Struct, frozen=True):
    """A provider's voices: the one that is taken where none is named, and which names it can have.

    ``female`` and ``male`` stand for OpenAI's voices of the general kind, which callers name without meaning OpenAI.
    ``is_name`` says whether a text can be the name of one of its voices.
    """

    female: str
    male: str
    is_name: Callable[[str], bool]
    expected: str
    """What its names look like, for the message that refuses another."""

    @property
    def default(self) -> str:
        """The voice where none is named."""
        return self.female


class Drivers(Struct, frozen=True):
    """What a provider can be driven to do; None where it cannot, or only in the other way.

    ``listen`` and ``recording`` take the model's name first: a provider may stream some of its models only.
    ``speech_limit_chars`` takes it too, and says how long a text ``speech`` takes at once; None for as long as one is.
    """

    listen: Callable[[str], ListenFactory | None] = lambda model: None
    recording: Callable[[str], RecordingFactory | None] = lambda model: None
    speak: SpeakFactory | None = None
    speech: SpeechFactory | None = None
    speech_limit_chars: Callable[[str], int | None] = lambda model: None
    voices: Voices | None = None

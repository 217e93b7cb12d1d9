"""The simulator's own truth about every exchange: what came in, what went out and when.

Tests compare the sidecar's marks, usage and bytes with it. Bounded: the oldest entries go first.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable

from msgspec import Struct, field

KEPT_ENTRIES = 10_000


class Entry(Struct, kw_only=True):
    """One HTTP exchange, one WebSocket connection (``key`` ""), or one unit of work on a connection.

    The work of a connection has its own entries with a ``key``: a Cartesia context id, or the number of a
    Deepgram or Cartesia utterance or of a Deepgram spoken segment, from "0", or the id of a realtime response or
    item. Stamps are monotonic nanoseconds of the simulator's process; None means it did not happen. Filled in while
    it runs.
    """

    number: int
    provider: str
    endpoint: str
    connection: int
    key: str = ""
    request_line: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """Request headers by lower-case name; repeated ones are joined with a comma and a blank."""
    status: int | None = None
    started_ns: int
    request_complete_ns: int | None = None
    first_text_ns: int | None = None
    """First text to speak that is not blank received."""
    speech_end_ns: int | None = None
    """The frame holding the last loud 10 ms of the utterance received."""
    first_output_ns: int | None = None
    """First token, audio or transcript sent."""
    final_ns: int | None = None
    """Final transcript sent."""
    ended_ns: int | None = None
    hung_up_ns: int | None = None
    """The client left before the end."""
    close_code: int | None = None
    """The close code the client sent, or answered with."""
    failure: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    """Input tokens written to the provider's cache (Anthropic)."""
    output_tokens: int | None = None
    """Reasoning included; of a stream that broke off, those that were sent."""
    reasoning_tokens: int | None = None
    input_audio_tokens: int | None = None
    cached_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    usage_reported: bool = False
    """The usage was put on the wire."""
    characters: int | None = None
    """Code points of the text to speak, joined and stripped."""
    audio_in_s: float | None = None
    audio_out_s: float | None = None
    received_sha256: str | None = None
    """Of the request body; of a WebSocket see `frames_sha256`."""
    sent_sha256: str | None = None
    """Of the response body as sent, before chunking; of a WebSocket see `frames_sha256`."""
    frames_received: int = 0
    frames_sent: int = 0


class FrameDigest:
    """A running hash of text and binary frames in their order and with their borders."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, frame: str | bytes) -> None:
        """Take in one frame: its kind, its length in 8 bytes, its payload."""
        payload = frame.encode() if isinstance(frame, str) else frame
        self._hash.update(b"t" if isinstance(frame, str) else b"b")
        self._hash.update(len(payload).to_bytes(8, "big"))
        self._hash.update(payload)

    def hexdigest(self) -> str:
        """Return the hash of the frames so far."""
        return self._hash.hexdigest()


def frames_sha256(frames: Iterable[str | bytes]) -> str:
    """Return the hash the ledger keeps for these WebSocket frames; pings, pongs and closes do not count."""
    digest = FrameDigest()
    for frame in frames:
        digest.add(frame)
    return digest.hexdigest()


class Ledger:
    """The latest entries, oldest first, each placed when its exchange starts."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT_ENTRIES)
        self._opened = 0

    def open(self, *, provider: str, endpoint: str, connection: int, started_ns: int, key: str = "") -> Entry:
        """Place and return a new entry for its exchange to fill in."""
        self._opened += 1
        entry = Entry(
            number=self._opened,
            provider=provider,
            endpoint=endpoint,
            connection=connection,
            started_ns=started_ns,
            key=key,
        )
        self._entries.append(entry)
        return entry

    def entries(self, endpoint: str | None = None, key: str | None = None) -> list[Entry]:
        """Return the entries, those of an endpoint only, or of a key only ("" is the connections' own)."""
        return [
            entry
            for entry in self._entries
            if (endpoint is None or entry.endpoint == endpoint) and (key is None or entry.key == key)
        ]

    def work(self, endpoint: str) -> list[Entry]:
        """Return the entries of the work done on an endpoint's connections, without the connections' own."""
        return [entry for entry in self._entries if entry.endpoint == endpoint and entry.key]

    def clear(self) -> None:
        """Forget all entries; exchanges that run go on unrecorded."""
        self._entries.clear()

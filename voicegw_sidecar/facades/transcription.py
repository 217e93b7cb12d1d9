"""``POST /v1/audio/transcriptions``: one recording, put to whichever provider transcribes it.

Wire reference: https://platform.openai.com/docs/api-reference/audio/createTranscription (read 2026-11-21).
"""

from __future__ import annotations

import contextlib

import msgspec
from msgspec import Struct

from voicegw_sidecar.asks import RecordingAsk
from voicegw_sidecar.body_edit import with_model
from voicegw_sidecar.drivers.base import ProviderRequest, Transcript
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.facades.translation import Answer, Attempt, PassThrough
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire import multipart

_FORMATS = ("json", "text", "verbose_json")
_PATH = "/v1/audio/transcriptions"
_UNKNOWN_TYPE = "application/octet-stream"


class _Fields(Struct):
    """The plain fields of the form."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    response_format: str = "json"
    temperature: str | None = None
    stream: str = ""


class Transcribe:
    """One transcription request of a caller. Long ones are to be read and put to a provider on a thread."""

    modality = Modality.STT

    def __init__(self, body: bytes, content_type: str) -> None:
        boundary = multipart.boundary(content_type)
        if boundary is None:
            raise BadRequest(f"Content-Type: found {content_type[:64]!r}, expected multipart/form-data with a boundary")
        self._body = body
        self._content_type = content_type
        self._fields = _Fields()
        self._granularities: list[str] = []
        parts = multipart.parts(body, boundary)
        file = next((part for part in parts if part.is_file and part.name == "file"), None)
        if file is None or not file.data:
            raise BadRequest("file: found none; expected a recording")
        self._file = file
        for part in parts:
            if not part.is_file:
                self._read(part)

    def _read(self, part: multipart.Part) -> None:
        text = part.data.decode("utf-8", "replace").strip()
        if part.name in ("timestamp_granularities[]", "timestamp_granularities"):
            self._granularities.append(text)
        elif part.name in _Fields.__struct_fields__:
            setattr(self._fields, part.name, text)

    @property
    def wanted(self) -> str | None:
        """The model that it names."""
        return self._fields.model

    @property
    def audio(self) -> bytes:
        """The recording."""
        return self._file.data

    @property
    def size_bytes(self) -> int:
        """Length of the whole request."""
        return len(self._body)

    @property
    def is_streamed(self) -> bool:
        """True where the caller wants the transcript as it comes."""
        return self._fields.stream.lower() in ("true", "1")

    def passed_on(self, leg: Leg) -> Attempt:
        """Put the caller's own request to a provider that speaks OpenAI's protocol."""
        body = with_model(self._body, leg.model, self._content_type)
        headers = (("Content-Type", self._content_type),)
        return Attempt(ProviderRequest("POST", _PATH, (), headers, body), PassThrough())

    def ask(self, leg: Leg) -> RecordingAsk:
        """Put it in neutral words; raises `BadRequest` for what only OpenAI knows."""
        fields = self._fields
        if fields.response_format not in _FORMATS:
            raise BadRequest(
                f"response_format: found {fields.response_format[:32]!r}, expected one of {', '.join(_FORMATS)}"
            )
        is_verbose = fields.response_format == "verbose_json"
        return RecordingAsk(
            leg.model, self._file.data, self._file.filename or "speech",
            self._file.content_type or _UNKNOWN_TYPE, fields.language or leg.variant, fields.prompt or None,
            self._temperature(),
            wants_words=is_verbose and "word" in self._granularities,
            wants_segments=is_verbose and (not self._granularities or "segment" in self._granularities),
        )  # fmt: skip

    def _temperature(self) -> float | None:
        found = self._fields.temperature
        if not found:
            return None
        with contextlib.suppress(ValueError):
            temperature = float(found)
            if 0 <= temperature <= 1:  # what is no number is in no range either
                return temperature
        raise BadRequest(f"temperature: found {found[:32]!r}, expected a number from 0 to 1")

    def answer(self, transcript: Transcript) -> Answer:
        """Word a transcript as the caller asked for it."""
        if self.is_streamed:
            told = [{"type": "transcript.text.delta", "delta": transcript.text},
                    {"type": "transcript.text.done", "text": transcript.text}]  # fmt: skip
            events = b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in told)
            return Answer(200, (("Content-Type", "text/event-stream"),), events + b"data: [DONE]\n\n")
        if self._fields.response_format == "text":
            return Answer(200, (("Content-Type", "text/plain; charset=utf-8"),), f"{transcript.text}\n".encode())
        found: dict[str, object] = {"text": transcript.text}
        if self._fields.response_format == "verbose_json":
            found = {"task": "transcribe", **found, **self._details(transcript)}
        return Answer(200, (("Content-Type", "application/json"),), msgspec.json.encode(found))

    def _details(self, transcript: Transcript) -> dict[str, object]:
        """What a long answer has besides; what nobody told is null."""
        details: dict[str, object] = {"language": transcript.language, "duration": transcript.duration_s}
        if not self._granularities or "segment" in self._granularities:
            details["segments"] = [
                {"id": number, "start": segment.start_s, "end": segment.end_s, "text": segment.text}
                for number, segment in enumerate(transcript.segments)
            ]
        if "word" in self._granularities:
            details["words"] = [
                {"word": word.text, "start": word.start_s, "end": word.end_s} for word in transcript.words
            ]
        return details

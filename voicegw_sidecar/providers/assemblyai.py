"""AssemblyAI: live speech-to-text over WebSocket, and how recordings transcribed by id are read.

Knows AssemblyAI's messages and nothing about money or sockets. A live session is billed by the time it is open,
from ``Begin`` to ``Termination``, not by the audio sent; words end at positions in the session's audio. The model
is in the query, which must name one. A recording is handed in by one request and asked for by others until it is done.
Wire reference: https://www.assemblyai.com/docs/streaming/message-sequence and
https://www.assemblyai.com/docs/api-reference/transcripts (read 2026-11-21), shapes as the assemblyai SDK 1.8 types
them.
Captures: tests/captures/assemblyai_stream_*.jsonl
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from voicegw_sidecar.dialects.base import NO_EVENTS, HttpDialect, SocketDialect, decode_json
from voicegw_sidecar.events import (
    MESSAGE_LIMIT_CHARS,
    AudioIn,
    Began,
    Deferred,
    Event,
    Failed,
    Final,
    Finished,
    Interim,
    RequestComplete,
    StreamDuration,
    UtteranceEnded,
    Word,
)
from voicegw_sidecar.providers.base import AuthStyle, Baseline, Endpoint, ErrorShape, JobState, Provider
from voicegw_sidecar.terms import Modality, Usage
from voicegw_sidecar.wire.body import BodyCopy, short_code
from voicegw_sidecar.wire.frames import Frame, Kind, RequestHead, ResponseHead, Side
from voicegw_sidecar.wire.pcm import pcm_format

_RATE_HZ = 16_000  # what is heard where the query names no rate
_MS_PER_S = 1000
_NOBODY = "UNKNOWN"  # the speaker of words too few to tell


class _Word(Struct, frozen=True):
    text: str = ""
    start: float | None = None
    end: float | None = None


class _Configuration(Struct, frozen=True):
    model: str | None = None


class _SpokenWord(_Word, frozen=True):
    confidence: float | None = None
    speaker: str | None = None


class _Spoken(Struct, frozen=True):
    """What the end of a turn says of its words: most messages are no end, and theirs are not read so closely."""

    words: list[_SpokenWord] | None = None
    language_code: str | None = None


class _Message(Struct, frozen=True):
    """Any message of the socket; a turn grows until ``end_of_turn``.

    ``utterance`` is told where the words so far make a whole: the person may have come to an end.
    """

    type: str = ""
    configuration: _Configuration | None = None
    turn_order: int | None = None
    end_of_turn: bool | None = None
    transcript: str | None = None
    utterance: str | None = None
    words: list[_Word] | None = None
    session_duration_seconds: float | None = None
    error_code: int | str | None = None
    error: str | None = None


_message = msgspec.json.Decoder(_Message)
_spoken = msgspec.json.Decoder(_Spoken)


class AssemblyAIStream(SocketDialect):
    """``/v3/ws``: binary audio up, turns down; one utterance after the other on one socket."""

    def __init__(self, head: RequestHead) -> None:
        self._model = head.parameter("speech_model")
        rate_hz = head.number("sample_rate") or _RATE_HZ
        self._pcm = pcm_format(head.parameter("encoding") or "pcm_s16le", rate_hz)
        self._has_begun = False
        self._ended_turn: int | None = None

    @property
    def model(self) -> str | None:
        """The model that the address names."""
        return self._model

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Binary frames are audio, text frames JSON."""
        if frame.side is Side.AGENT:
            if frame.kind is not Kind.BINARY or not frame.data:
                return NO_EVENTS
            # clients may send before they are told that the session has begun
            return [*self._begin(None), AudioIn(frame.data, self._pcm)]
        message = decode_json(_message, frame.data) if frame.kind is Kind.TEXT else None
        if message is None:
            return NO_EVENTS
        match message.type:
            case "Begin":
                return self._begin(message.configuration)
            case "Turn":
                return self._turn(message, frame.data)
            case "Termination" if message.session_duration_seconds is not None:
                return (StreamDuration(message.session_duration_seconds),)
            case "Error":
                code = short_code(f"error_{message.error_code or 'frame'}") or "provider_error"
                return (Failed(code, key="*", message=(message.error or "")[:MESSAGE_LIMIT_CHARS]),)
            case _:
                return NO_EVENTS

    def _begin(self, configuration: _Configuration | None) -> Iterable[Event]:
        if self._has_begun:
            return NO_EVENTS
        self._has_begun = True
        model = self._model or (configuration or _Configuration()).model
        return (Began(Modality.STT, model=model, bills_session=True),)

    def _turn(self, turn: _Message, data: bytes) -> Iterable[Event]:
        """Take a turn as far as it has come; its end may be sent a second time, formatted."""
        words = turn.words or []
        text = turn.transcript or " ".join([word.text for word in words]).strip()
        if not text:
            return NO_EVENTS
        if not turn.end_of_turn:
            return (Interim(text, is_eager=bool(turn.utterance)),)
        if turn.turn_order is not None and turn.turn_order == self._ended_turn:
            return NO_EVENTS
        self._ended_turn = turn.turn_order
        starts_s = [word.start / _MS_PER_S for word in words if word.start is not None]
        ends_s = [word.end / _MS_PER_S for word in words if word.end is not None]
        spoken = decode_json(_spoken, data) or _Spoken()
        final = Final(
            text,
            ends_s[-1] if ends_s else None,
            starts_s[0] if starts_s else None,
            words=tuple([_word(word) for word in spoken.words or () if word.text]),
            language=spoken.language_code,
        )
        return (final, UtteranceEnded())


def _word(word: _SpokenWord) -> Word:
    speaker = None if word.speaker == _NOBODY else word.speaker
    return Word(word.text, _seconds(word.start), _seconds(word.end), word.confidence, speaker)


def _seconds(position_ms: float | None) -> float | None:
    return None if position_ms is None else position_ms / _MS_PER_S


class _JobRequest(Struct, frozen=True):
    speech_models: list[str] | None = None
    speech_model: str | None = None

    @property
    def model(self) -> str | None:
        """The first wish; None where the request names none."""
        return self.speech_models[0] if self.speech_models else self.speech_model


class _Job(Struct, frozen=True):
    """A recording's transcription as AssemblyAI tells of it: handed in, or asked for."""

    id: str = ""
    status: str = ""
    audio_duration: float | None = None
    speech_model_used: str | None = None
    speech_model: str | None = None


_job_request = msgspec.json.Decoder(_JobRequest)
_job = msgspec.json.Decoder(_Job)


class AssemblyAIRecording(HttpDialect):
    """``POST /v2/transcript``: hands in a recording, which is done later and told to whoever asks for its id."""

    def __init__(self, head: RequestHead) -> None:
        super().__init__(head)
        self._answer = BodyCopy()

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """Its answer is one JSON object."""
        self._answer = BodyCopy(head.content_encoding)
        return super().answered(head)

    def _begun(self) -> Iterable[Event]:
        request = decode_json(_job_request, self._request.content()) or _JobRequest()
        return (Began(Modality.STT, model=request.model), RequestComplete())

    def _answer_piece(self, data: bytes) -> Iterable[Event]:
        self._answer.add(data)
        return NO_EVENTS

    def _answer_complete(self) -> Iterable[Event]:
        job = decode_json(_job, self._answer.content())
        return (Finished(),) if job is None or not job.id else (Deferred(job.id),)


def job_state(answer: bytes) -> JobState | None:
    """Read the answer of ``GET /v2/transcript/{id}``; None where it tells of no recording."""
    job = decode_json(_job, answer)
    if job is None or not job.id:
        return None
    return JobState(
        job.id,
        is_done=job.status == "completed",
        model=job.speech_model_used or job.speech_model,
        usage=Usage(audio_s=job.audio_duration),
        error="transcription_failed" if job.status == "error" else None,
    )


# Live, the catalogue knows the model by another name; ``u3-rt-pro`` is what it was called before
# (https://www.assemblyai.com/llms/models.md, of 2026-06-24).
_LIVE_MODELS = dict.fromkeys(("universal-3-5-pro", "u3-rt-pro", "u3-pro"), "universal-3-5-pro-streaming")


def _catalogue_model(model: str, head: RequestHead) -> str:
    return _LIVE_MODELS.get(model, model)


def _error_body(status: int, code: str, message: str) -> dict[str, object]:
    return {"error": message}


ASSEMBLYAI = Provider(
    id="assemblyai",
    base_url="https://api.assemblyai.com",
    auth=AuthStyle.RAW,
    errors=ErrorShape(_error_body),
    endpoints=(
        Endpoint("GET", "/v3/ws", Modality.STT, AssemblyAIStream, is_socket=True, catalogue_model=_catalogue_model),
        Endpoint("POST", "/v2/transcript", Modality.STT, AssemblyAIRecording),
        Endpoint("GET", "/v2/transcript/{}", Modality.STT, AssemblyAIRecording, reads_job=job_state),
    ),
    catalogue_id="assemblyai",
    root_paths=("/v3/ws",),
    other_hosts=(("/v3/", "https://streaming.assemblyai.com"),),
    baselines=(Baseline(Modality.STT, 400, "curated", "2026-05-11"),),
    # AssemblyAI itself has no default; this is what LiveKit's and Pipecat's agents ask for
    default_models=((Modality.STT, "universal-3-6-pro"),),
)

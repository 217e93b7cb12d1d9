"""``POST /v1/audio/speech``: one text, put to whichever provider speaks, in the sound that the caller asked for.

OpenAI, and servers declared to be like it, get the caller's own request with their model in it. Everybody else is
asked for that sound where the provider has it, and for samples that are packed here where it has not.
Wire reference: https://platform.openai.com/docs/api-reference/audio/createSpeech (read 2026-11-21).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

import msgspec
from msgspec import Raw, Struct

from voicegw_sidecar.asks import Container, Sound, SpeechAsk
from voicegw_sidecar.drivers.base import ProviderRequest
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.drivers.table import drivers_of
from voicegw_sidecar.drivers.voices import OPENAI_NAMES, fitting_voice
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.events import Event, Failed
from voicegw_sidecar.facades.samples import Samples, no_sound, require_sound
from voicegw_sidecar.facades.translation import Attempt, Headers, PassThrough
from voicegw_sidecar.sound.encode import Encoder
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.frames import ResponseHead

PCM_RATE_HZ = 24_000
"""The rate of ``pcm`` and of what is packed here, as OpenAI's."""
TEXT_LIMIT_CHARS = 4096
"""The longest text of one request, as OpenAI's."""
_TYPES = {
    Container.PCM: "audio/pcm",
    Container.WAV: "audio/wav",
    Container.MP3: "audio/mpeg",
    Container.OPUS: "audio/opus",
    Container.FLAC: "audio/flac",
    Container.AAC: "audio/aac",
}
_JSON = "application/json"


class _VoiceId(Struct, frozen=True):
    id: str


class _Request(Struct, frozen=True):
    model: str | None = None
    input: str = ""
    voice: str | _VoiceId | None = None
    response_format: str | None = None
    speed: float | None = None
    instructions: str | None = None
    stream_format: str | None = None


_request = msgspec.json.Decoder(_Request)
_members = msgspec.json.Decoder(dict[str, Raw])


class Speech:
    """One speech request of a caller."""

    modality = Modality.TTS

    def __init__(self, body: bytes, content_type: str) -> None:
        self._body = body
        try:
            self._request = request = _request.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadRequest(f"body: {error}; expected a speech request as JSON") from None
        if not request.input.strip():
            raise BadRequest("input: found no text; expected what is to be spoken")
        if len(request.input) > TEXT_LIMIT_CHARS:
            raise BadRequest(f"input: found {len(request.input)} characters, expected {TEXT_LIMIT_CHARS} at most")
        if request.stream_format not in (None, "audio", "sse"):
            raise BadRequest(f"stream_format: found {request.stream_format[:32]!r}, expected audio or sse")
        wanted = request.response_format or Container.MP3
        try:
            self._container = Container(wanted)
        except ValueError:
            raise BadRequest(
                f"response_format: found {wanted[:32]!r}, expected one of {', '.join(Container)}"
            ) from None

    @property
    def wanted(self) -> str | None:
        """The model that it names."""
        return self._request.model

    @property
    def is_streamed(self) -> bool:
        """Sound comes as it is made."""
        return True

    def attempt(self, leg: Leg, id_: str, now_s: int, *, includes_usage: bool) -> Attempt:
        """Put the request to a provider; raises `BadRequest` for what that one cannot be asked."""
        if leg.is_openai:
            return Attempt(self._passed_on(leg), PassThrough())
        drivers = drivers_of(leg.provider.id, is_declared=leg.is_declared)
        if drivers.speech is None:
            raise BadRequest(f"model: {leg.provider.id} does not speak; expected a text-to-speech provider")
        request = self._request
        rate_hz = PCM_RATE_HZ if self._container in (Container.PCM, Container.WAV) else None
        wanted = Sound(self._container, rate_hz)
        voice = fitting_voice(leg.provider.id, drivers.voices, self._voice(leg), is_substitute=leg.is_substitute)
        ask = SpeechAsk(leg.model, voice, request.input, wanted, speed=request.speed, instructions=request.instructions)
        asked = drivers.speech(ask)
        is_sse = request.stream_format == "sse"
        translation = SpeechTranslation(leg.provider.id, asked.gives, wanted, is_sse=is_sse)
        return Attempt(asked.request, translation, is_openai_shaped=False)

    def _voice(self, leg: Leg) -> str | None:
        """The voice that is meant: every caller of OpenAI's has to name one, so a model's own suffix is meant more."""
        voice = self._request.voice
        named = voice.id if isinstance(voice, _VoiceId) else voice
        return leg.variant if leg.variant is not None and (named is None or named in OPENAI_NAMES) else named

    def _passed_on(self, leg: Leg) -> ProviderRequest:
        members = _members.decode(self._body)
        members["model"] = Raw(msgspec.json.encode(leg.model))
        voice = self._voice(leg)
        if voice is not None and not isinstance(self._request.voice, _VoiceId):
            members["voice"] = Raw(msgspec.json.encode(voice))
        body = msgspec.json.encode(members)
        return ProviderRequest("POST", "/v1/audio/speech", (), (("Content-Type", _JSON),), body)


class SpeechTranslation:
    """A provider's sound, packed as the caller asked for it; see `Translation`.

    Raises `UpstreamSilent` for what is no sound, or none that can be packed.
    """

    failure: Failed | None = None

    def __init__(self, provider_id: str, gives: Sound, wanted: Sound, *, is_sse: bool = False) -> None:
        self._provider_id = provider_id
        self._wanted = wanted
        self._is_sse = is_sse
        self._gives = gives
        self._is_same = gives.container is wanted.container and gives.rate_hz == (wanted.rate_hz or gives.rate_hz)
        self._samples: Samples | None = None
        self._encoder: Encoder | None = None
        self.has_output = False

    @property
    def is_heavy(self) -> bool:
        """True where the sound is packed anew."""
        return not self._is_same

    def head(self, head: ResponseHead, headers: Headers) -> Headers:
        """The type of the sound that was asked for."""
        require_sound(self._provider_id, head)
        return (("Content-Type", "text/event-stream" if self._is_sse else _TYPES[self._wanted.container]),)

    def take(self, data: bytes, events: Iterable[Event]) -> bytes:
        """See `Translation.take`."""
        self.has_output = self.has_output or bool(data)
        return self._written(data if self._is_same else self._packed(data))

    def end(self, events: Iterable[Event]) -> bytes:
        """See `Translation.end`."""
        if not self.has_output:
            raise no_sound(self._provider_id, "nothing")
        rest = b""
        if not self._is_same and self._samples is not None and self._encoder is not None:
            rest = self._encoder.feed(self._samples.rest()) + self._encoder.rest()
        out = self._written(rest)
        return out + _event({"type": "speech.audio.done"}) if self._is_sse else out

    def broken(self, message: str, code: str) -> bytes | None:
        """Sound breaks off; events say so."""
        return _event({"type": "error", "error": {"message": message, "code": code}}) if self._is_sse else None

    def _packed(self, data: bytes) -> bytes:
        if self._samples is None or self._encoder is None:  # not before: what packs is imported on a thread
            rate_hz = self._wanted.rate_hz or PCM_RATE_HZ
            self._samples = Samples(self._gives, rate_hz, self._provider_id)
            self._encoder = Encoder(self._wanted.container, rate_hz)
        return self._encoder.feed(self._samples.feed(data))

    def _written(self, sound: bytes) -> bytes:
        if not self._is_sse or not sound:
            return sound
        return _event({"type": "speech.audio.delta", "audio": base64.b64encode(sound).decode("ascii")})


def _event(value: dict[str, object]) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"

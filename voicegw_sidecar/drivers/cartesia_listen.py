"""Cartesia, live: Ink-2 by turns, Ink-Whisper by commands.

Ink-2 ends its turns by itself and has no command for it: where a transcript is asked for, it is sent the silence in
which it finds the end. Both close a stream on which no message came for three minutes, and silence is the one message
that both take.
Wire reference: https://docs.cartesia.ai/api-reference/stt/turns/websocket, https://docs.cartesia.ai/api-reference/stt/stt
(read 2026-11-21), the cartesia SDK 4.2, and Pipecat 1.14 for the silence that ends a turn.
"""

from __future__ import annotations

from voicegw_sidecar.asks import ListenAsk
from voicegw_sidecar.drivers.base import ListenFactory, Message, Messages, SocketAddress
from voicegw_sidecar.drivers.language import MULTI, language_code, not_spoken
from voicegw_sidecar.drivers.listening import Listening, binary, message_type, silence, text
from voicegw_sidecar.drivers.query import query, with_terms
from voicegw_sidecar.wire.frames import Kind

VERSION = "2026-03-01"
"""Of Cartesia's API: the one in which errors have codes."""
_WHISPER = "ink-whisper"
_KEEPALIVE_S = 120.0
_KEEPALIVE_MS = 100
_TURN_END_MS = 1000
_HEADERS = (("Cartesia-Version", VERSION),)
_SPOKEN = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt la mi ml "
    "cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc ka be tg sd gu am "
    "yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su yue"  # codespell:ignore fo
)
_WHISPER_CODES = frozenset(_SPOKEN.split())


def listening(model: str) -> ListenFactory | None:
    """Return how a model of Cartesia's listens: each of them can."""
    return CartesiaListenDriver if model.startswith(_WHISPER) else CartesiaTurnsDriver


class CartesiaTurnsDriver(Listening):
    """``/stt/turns/websocket``: the model finds the turns itself."""

    keepalive_s = _KEEPALIVE_S

    def __init__(self, ask: ListenAsk) -> None:
        if language_code(ask.language) not in (None, "en") or ask.language == MULTI:
            raise not_spoken(ask.language, ask.model, "'en'", f"use {_WHISPER} for another language")
        options = with_terms(ask.keyterms, "keyterm", ask.options)
        pairs = query(_sound(ask), {}, options)
        super().__init__(SocketAddress("/stt/turns/websocket", pairs, _HEADERS), ask.rate_hz)

    def finalize(self) -> Messages:
        """There is no command for it: a second of silence ends most turns."""
        return binary(silence(self.rate_hz, _TURN_END_MS))

    def keepalive(self) -> Messages:
        """A little silence."""
        return binary(silence(self.rate_hz, _KEEPALIVE_MS))

    def finish(self) -> Messages:
        """``close`` has all that was sent made into turns before the socket closes."""
        return text({"type": "close"})


class CartesiaListenDriver(Listening):
    """``/stt/websocket``: commands are bare words. Ink-Whisper takes no terms to expect."""

    keepalive_s = _KEEPALIVE_S

    def __init__(self, ask: ListenAsk) -> None:
        usual: dict[str, object] = {"language": whisper_language(ask.language, ask.model)}
        pairs = query(_sound(ask), usual, ask.options)
        super().__init__(SocketAddress("/stt/websocket", pairs, _HEADERS), ask.rate_hz)
        self._is_finishing = False

    def finalize(self) -> Messages:
        """``finalize`` is answered by the transcript and ``flush_done``."""
        return (Message(Kind.TEXT, b"finalize"),)

    def keepalive(self) -> Messages:
        """A little silence."""
        return binary(silence(self.rate_hz, _KEEPALIVE_MS))

    def finish(self) -> Messages:
        """``close`` brings what is left and ``done``."""
        self._is_finishing = True
        return (Message(Kind.TEXT, b"close"),)

    def is_over(self, data: bytes) -> bool:
        """``done`` is the last message."""
        return self._is_finishing and message_type(data) == "done"


def whisper_language(language: str | None, model: str) -> str | None:
    """Return the ``language`` to ask Ink-Whisper for; None leaves Cartesia its own default, which is English.

    Raises :class:`BadRequest` for a language it does not know, and for several at once.
    """
    code = language_code(language)
    if language == MULTI or code not in (None, *_WHISPER_CODES):
        expected = "one language that Whisper knows, such as 'en' or 'es'"
        raise not_spoken(language, model, expected, "use another provider for it")
    return code


def _sound(ask: ListenAsk) -> dict[str, object]:
    return {"model": ask.model, "encoding": "pcm_s16le", "sample_rate": ask.rate_hz}

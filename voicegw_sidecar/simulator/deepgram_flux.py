"""Deepgram Flux: speech-to-text that finds the turns itself, over a WebSocket.

Wire reference: https://developers.deepgram.com/reference/speech-to-text/listen-flux, the pages on CloseStream and
ForceEndTurn (read 2026-11-21), and the deepgram SDK 7.17. Where turns start and end is really found in the sound; what
is understood is scripted.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from voicegw_sidecar.simulator.ear import Ear, SpeechEnded, SpeechStarted
from voicegw_sidecar.simulator.ledger import Entry
from voicegw_sidecar.simulator.refusal import provider_headers, refuse_request
from voicegw_sidecar.simulator.visit import Crew, Visit
from voicegw_sidecar.simulator.websocket import Outbox, Socket
from voicegw_sidecar.wire.pcm import pcm_format

_WORD_S = 0.35  # how fast the text of a turn grows
_CONFIDENCE = 0.98


async def turns(visit: Visit) -> web.StreamResponse:
    """``GET /v2/listen`` with an upgrade."""
    query = visit.request.query
    rate = query.get("sample_rate", "")
    pcm = pcm_format(query.get("encoding"), int(rate) if rate.isdigit() else None)
    if pcm is None or "model" not in query:
        return await refuse_request(visit, 400, "Bad Request: a query parameter is not valid.")
    visit.entry.model = query["model"]
    socket = Socket(visit)
    await socket.accept(provider_headers(visit))
    async with Crew() as crew:
        stream = _Stream(visit, socket, Ear(pcm, visit.script.listen.hangover_ms / 1000))
        sender = crew.start(stream.outbox.run(), name="simulator deepgram flux sender")
        try:
            if await stream.run():
                await sender
                await socket.close()
        finally:
            stream.left()
    return socket.response


class _Stream:
    """One connection's turns: positions are seconds of its audio."""

    def __init__(self, visit: Visit, socket: Socket, ear: Ear) -> None:
        self._visit = visit
        self._socket = socket
        self._ear = ear
        self._script = visit.script.listen
        self.outbox = Outbox(visit, socket)
        self._entries: list[Entry] = []
        self._text = ""
        self._window_start_s = 0.0
        self._update_at_s = 0.0
        self._sequence = 0

    async def run(self) -> bool:
        """Listen until the client closes the stream (True) or leaves."""
        await self.outbox.put(self._message("Connected"))
        while (frame := await self._socket.receive()) is not None:
            if isinstance(frame, bytes):
                await self._hear(frame)
            elif await self._obey(frame):
                return True
        return False

    def left(self) -> None:
        """The stream is over: what was not finished never will be."""
        for entry in self._entries:
            if entry.ended_ns is None:
                self._visit.mark("hung_up_ns", entry)

    async def _obey(self, frame: str) -> bool:
        try:
            message = msgspec.json.decode(frame, type=dict[str, Any])
        except msgspec.MsgspecError:
            message = {}
        match message.get("type"):
            case "ForceEndTurn":
                if (heard := self._ear.stop()) is not None:
                    await self._finish(heard)
            case "CloseStream":
                # the turn has no end then: what was understood is told once more, and the socket is closed
                if (heard := self._ear.stop()) is not None:
                    await self._put("Update", self._words(self._text.split(), heard.start_s, heard.end_s))
                await self.outbox.end()
                return True
            case "Configure":
                applied = {"thresholds": message.get("thresholds") or {}, "keyterms": message.get("keyterms") or []}
                await self.outbox.put(self._message("ConfigureSuccess", **applied))
            case _:
                error = {"code": "UNPARSABLE_CLIENT_MESSAGE", "description": "The message could not be read."}
                await self.outbox.put(self._message("Error", **error))
        return False

    async def _hear(self, frame: bytes) -> None:
        for heard in self._ear.hear(frame, self._visit.clock.monotonic_ns()):
            match heard:
                case SpeechStarted():
                    self._text = self._visit.next_of(self._script.utterances)
                    self._entries.append(self._visit.work(str(len(self._entries))))
                    first = self._text.split()[:1]
                    await self._put("StartOfTurn", self._words(first, heard.at_s, self._ear.audio_s))
                case SpeechEnded():
                    await self._finish(heard)
        now_s = self._visit.entry.audio_in_s = self._ear.audio_s
        since_s = self._ear.speaking_since_s
        if since_s is not None and now_s - max(since_s, self._update_at_s) >= self._script.interim_every_ms / 1000:
            self._update_at_s = now_s
            spoken = self._text.split()
            await self._put("Update", self._words(spoken[: max(1, round((now_s - since_s) / _WORD_S))], since_s, now_s))

    async def _finish(self, heard: SpeechEnded) -> None:
        """Send the end of the turn once its latency has passed."""
        entry = self._entries[-1]
        entry.speech_end_ns = heard.end_ns
        entry.audio_in_s = round(self._ear.audio_s - self._window_start_s, 3)
        words = self._words(self._text.split(), heard.start_s, heard.end_s)
        if self._script.eager_end:
            await self._put("EagerEndOfTurn", words)
        await self._put("EndOfTurn", words, self._script.final_ms)
        self._window_start_s = self._ear.audio_s

    async def _put(self, event: str, words: list[dict[str, Any]], latency_ms: float = 0.0) -> None:
        entry = self._entries[-1]

        def sent() -> None:
            self._visit.mark("first_output_ns", entry)
            if event == "EndOfTurn":
                self._visit.mark("final_ns", entry)
                self._visit.mark("ended_ns", entry)

        message = self._message(
            "TurnInfo",
            event=event,
            turn_index=len(self._entries) - 1,
            audio_window_start=self._window_start_s,
            audio_window_end=round(self._ear.audio_s, 3),
            transcript=" ".join(word["word"] for word in words),
            words=words,
            end_of_turn_confidence=_CONFIDENCE if "EndOfTurn" in event else 0.1,
        )
        await self.outbox.put(message, latency_ms, sent)

    def _words(self, spoken: list[str], start_s: float, end_s: float) -> list[dict[str, Any]]:
        step_s = (end_s - start_s) / max(1, len(spoken))
        return [
            {
                "word": word,
                "confidence": _CONFIDENCE,
                "start": round(start_s + index * step_s, 3),
                "end": round(start_s + (index + 1) * step_s, 3),
            }
            for index, word in enumerate(spoken)
        ]

    def _message(self, kind: str, **more: Any) -> dict[str, Any]:
        self._sequence += 1
        return {"type": kind, "request_id": self._visit.request_id, "sequence_id": self._sequence - 1, **more}

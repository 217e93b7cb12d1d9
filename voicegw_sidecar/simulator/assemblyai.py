"""AssemblyAI: live speech-to-text over a WebSocket, billed by the time the session is open.

Wire reference: https://www.assemblyai.com/docs/streaming/message-sequence (read 2026-11-21) and the assemblyai
SDK 1.8. Where turns start and end is really found in the sound; what is understood is scripted. With
``format_turns`` the end of a turn comes twice, plain and formatted.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
from aiohttp import web

from voicegw_sidecar.simulator.ear import Ear, SpeechEnded, SpeechStarted
from voicegw_sidecar.simulator.ledger import Entry
from voicegw_sidecar.simulator.refusal import provider_headers, refuse_request
from voicegw_sidecar.simulator.visit import Crew, Visit
from voicegw_sidecar.simulator.websocket import Outbox, Socket
from voicegw_sidecar.terms import NS_PER_S
from voicegw_sidecar.wire.pcm import pcm_format

_WORD_S = 0.35  # how fast the text of a turn grows
_SESSION_S = 3 * 60 * 60


async def live(visit: Visit) -> web.StreamResponse:
    """``GET /v3/ws`` with an upgrade."""
    query = visit.request.query
    rate = query.get("sample_rate", "16000")
    pcm = pcm_format(query.get("encoding", "pcm_s16le"), int(rate) if rate.isdigit() else None)
    if pcm is None or "speech_model" not in query:
        return await refuse_request(visit, 400, "speech_model, and a known encoding and sample_rate, are required.")
    visit.entry.model = query["speech_model"]
    socket = Socket(visit)
    await socket.accept(provider_headers(visit))
    async with Crew() as crew:
        stream = _Session(visit, socket, Ear(pcm, visit.script.turns.hangover_ms / 1000))
        sender = crew.start(stream.outbox.run(), name="simulator assemblyai sender")
        try:
            if await stream.run():
                await sender
                await socket.close()
        finally:
            stream.left()
    return socket.response


class _Session:
    """One connection's turns: positions are milliseconds of its audio."""

    def __init__(self, visit: Visit, socket: Socket, ear: Ear) -> None:
        self._visit = visit
        self._socket = socket
        self._ear = ear
        self._script = visit.script.turns
        self._is_formatted_twice = visit.request.query.get("format_turns", "").lower() == "true"
        self._began_ns = visit.clock.monotonic_ns()
        self.outbox = Outbox(visit, socket)
        self._entries: list[Entry] = []
        self._text = ""
        self._update_at_s = 0.0
        self._ended_at_s = 0.0

    async def run(self) -> bool:
        """Listen until the client terminates the session (True) or leaves."""
        expires_at = self._visit.clock.wall_ns() // NS_PER_S + _SESSION_S
        configuration = {"model": self._visit.entry.model, "mode": "balanced", "api_version": "2025-05-12"}
        begin = {"type": "Begin", "id": self._visit.request_id, "expires_at": expires_at}
        await self.outbox.put({**begin, "configuration": configuration})
        while (frame := await self._socket.receive()) is not None:
            if isinstance(frame, bytes):
                await self._hear(frame)
                continue
            kind = _kind(frame)
            if kind in ("Terminate", "ForceEndpoint") and (heard := self._ear.stop()) is not None:
                await self._finish(heard)
            if kind == "Terminate":
                session_s = (self._visit.clock.monotonic_ns() - self._began_ns) / NS_PER_S
                durations = {
                    "audio_duration_seconds": math.ceil(self._ear.audio_s),
                    "session_duration_seconds": math.ceil(session_s),
                }
                await self.outbox.put({"type": "Termination", **durations})
                await self.outbox.end()
                return True
            if not kind:
                await self.outbox.put({"type": "Error", "error_code": 3005, "error": "Invalid message."})
        return False

    def left(self) -> None:
        """The session is over: what was not finished never will be."""
        for entry in self._entries:
            if entry.ended_ns is None:
                self._visit.mark("hung_up_ns", entry)

    async def _hear(self, frame: bytes) -> None:
        for heard in self._ear.hear(frame, self._visit.clock.monotonic_ns()):
            match heard:
                case SpeechStarted():
                    self._text = self._visit.next_of(self._script.utterances)
                    self._entries.append(self._visit.work(str(len(self._entries))))
                    await self.outbox.put({"type": "SpeechStarted", "timestamp": round(heard.at_s * 1000)})
                case SpeechEnded():
                    await self._finish(heard)
        now_s = self._visit.entry.audio_in_s = self._ear.audio_s
        since_s = self._ear.speaking_since_s
        if since_s is not None and now_s - max(since_s, self._update_at_s) >= self._script.interim_every_ms / 1000:
            self._update_at_s = now_s
            words = self._text.split()[: max(1, round((now_s - since_s) / _WORD_S))]
            await self._put_turn(" ".join(words), since_s, now_s)

    async def _finish(self, heard: SpeechEnded) -> None:
        """Send the end of the turn once its latency has passed."""
        entry = self._entries[-1]
        entry.speech_end_ns = heard.end_ns
        entry.audio_in_s = round(self._ear.audio_s - self._ended_at_s, 6)
        self._ended_at_s = self._ear.audio_s
        if self._is_formatted_twice:
            plain = self._text.lower().rstrip("?.!")
            await self._put_turn(plain, heard.start_s, heard.end_s, entry, is_formatted=False)
            await self._put_turn(self._text, heard.start_s, heard.end_s, entry, is_repeated=True)
        else:
            await self._put_turn(self._text, heard.start_s, heard.end_s, entry)

    async def _put_turn(
        self,
        text: str,
        start_s: float,
        end_s: float,
        ending: Entry | None = None,
        *,
        is_formatted: bool = True,
        is_repeated: bool = False,
    ) -> None:
        """Send a turn as far as it has come; with ``ending`` it is at its end."""

        def sent() -> None:
            if ending is not None:
                self._visit.mark("first_output_ns", ending)
                self._visit.mark("final_ns", ending)
                self._visit.mark("ended_ns", ending)

        message = {
            "type": "Turn",
            "turn_order": len(self._entries) - 1,
            "turn_is_formatted": ending is not None and is_formatted,
            "end_of_turn": ending is not None,
            "transcript": text if ending is not None else "",
            "end_of_turn_confidence": 0.9 if ending is not None else 0.1,
            "words": _words(text, start_s, end_s, is_final=ending is not None),
        }
        latency_ms = self._script.final_ms if ending is not None and not is_repeated else 0.0
        await self.outbox.put(message, latency_ms, sent)


def _words(text: str, start_s: float, end_s: float, *, is_final: bool) -> list[dict[str, Any]]:
    """Return the words spread evenly over the time they were spoken in."""
    words = text.split()
    step_ms = (end_s - start_s) * 1000 / max(1, len(words))
    return [
        {
            "text": word,
            "start": round(start_s * 1000 + number * step_ms),
            "end": round(start_s * 1000 + (number + 1) * step_ms),
            "confidence": 0.95,
            "word_is_final": is_final,
        }
        for number, word in enumerate(words)
    ]


def _kind(frame: str) -> str:
    try:
        return str(msgspec.json.decode(frame, type=dict[str, Any]).get("type", ""))
    except msgspec.MsgspecError:
        return ""

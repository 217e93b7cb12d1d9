"""Providers for the self-test, on loopback: one that writes, one that speaks and one that listens. Standard library."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import struct
import threading
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SILENCE_S = 0.01
ANSWER = [f'data: {{"choices":[{{"delta":{{"content":"{word} é"}}}}]}}\n\n'.encode() for word in ("one", "two")] + [
    b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}\r\n\r\n',
    b"data: [DONE]\n\n",
]
TRANSCRIPT = "One tone."
SPOKEN_S, SPOKEN_HZ, PITCH_HZ, PEAK = 1.0, 22_050, 440, 12_000
_SOCKET_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # of RFC 6455
_TEXT, _BINARY, _CLOSE = 1, 2, 8


class StandIn(BaseHTTPRequestHandler):
    """OpenAI's chat streams known bytes in pieces; Piper speaks a tone; Deepgram's Flux knows what it will hear."""

    protocol_version = "HTTP/1.1"
    asked: list[bytes] = []  # noqa: RUF012 - one list for all requests is the point
    heard: list[bytes] = []  # noqa: RUF012 - and one for all sockets

    def do_POST(self) -> None:
        """Answer a question, or speak."""
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/synthesize":
            return self._speak()
        self.asked.append(asked)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in (*ANSWER, b""):
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.flush()
            time.sleep(SILENCE_S)
        return None

    def do_GET(self) -> None:
        """Listen to a socket until its end, then say what was heard."""
        accepted = hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + _SOCKET_KEY).digest()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accepted).decode())
        self.end_headers()
        self.close_connection = True
        messages = iter(self._message, None)
        samples = b""
        for kind, content in messages:
            samples += content if kind == _BINARY else b""
            if b"CloseStream" in content:
                break
        self.heard.append(samples)
        turn = {"type": "TurnInfo", "event": "EndOfTurn", "turn_index": 0, "transcript": TRANSCRIPT, "words": []}
        self._send(_TEXT, json.dumps(turn).encode())
        self._send(_CLOSE, struct.pack("!H", 1000))
        next(messages, None)  # its close frame: unread, it would reset the connection

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _speak(self) -> None:
        file = tone()
        self.send_response(200)
        self.send_header("Content-Type", "audio/wav")
        self.send_header("Content-Length", str(len(file)))
        self.end_headers()
        self.wfile.write(file)

    def _message(self) -> tuple[int, bytes] | None:
        """Return the kind and content of the next frame; None at the end."""
        head = self.rfile.read(2)
        if len(head) < 2:
            return None
        size = head[1] & 0x7F
        if size >= 126:
            size = int.from_bytes(self.rfile.read(2 if size == 126 else 8))
        mask = self.rfile.read(4)  # every client's frame has one
        masked = self.rfile.read(size)
        return head[0] & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))

    def _send(self, kind: int, content: bytes) -> None:
        size = len(content)
        head = struct.pack("!BB", 0x80 | kind, size) if size < 126 else struct.pack("!BBH", 0x80 | kind, 126, size)
        self.wfile.write(head + content)


def tone() -> bytes:
    """Return a WAV file of `SPOKEN_S` seconds."""
    steps = range(round(SPOKEN_S * SPOKEN_HZ))
    samples = [round(PEAK * math.sin(2 * math.pi * PITCH_HZ * step / SPOKEN_HZ)) for step in steps]
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SPOKEN_HZ)
        writer.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return file.getvalue()


@contextmanager
def stand_ins() -> Iterator[str]:
    """Serve them all at the address that is yielded."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()

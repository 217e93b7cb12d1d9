"""What metering costs per message, in microseconds. Run it: ``python tests/benchmarks/bench_metering.py``.

Each line times the path of one message as the relay's tap drives it: framing, decoding, metering. The best of
several rounds is shown: what the code costs, not what else the machine was doing.
"""

from __future__ import annotations

import base64
import math
import time
from array import array
from collections.abc import Callable

import msgspec

from voicegw_sidecar.dialects.base import Dialect
from voicegw_sidecar.dialects.openai_chat import OpenAIChat
from voicegw_sidecar.meter import Meter
from voicegw_sidecar.providers.cartesia import CartesiaSpeech
from voicegw_sidecar.providers.deepgram_listen import DeepgramListen
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side

ROUNDS = 15
LISTEN_HEAD = RequestHead(
    "GET", "/v1/listen", (("model", "nova-3"), ("encoding", "linear16"), ("sample_rate", "16000"))
)


def _feed(dialect: Dialect, meter: Meter, frames: list[Frame]) -> None:
    for frame in frames:
        for event in dialect.decode(frame):
            meter.apply(event, frame.at_ns)
        meter.changes()


def _sse_chunks() -> Callable[[], float]:
    chunk = {
        "id": "chatcmpl-C0ffee",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "gpt-4.1-mini-2025-04-14",
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
        "choices": [{"index": 0, "delta": {"content": " word"}, "logprobs": None, "finish_reason": None}],
        "usage": None,
    }
    data = b"data: " + msgspec.json.encode(chunk) + b"\n\n"
    frames = [Frame(Side.PROVIDER, Kind.BODY, number, data) for number in range(2000)]

    def once() -> float:
        dialect, meter = OpenAIChat(RequestHead("POST", "/v1/chat/completions")), Meter()
        dialect.decode(Frame(Side.AGENT, Kind.BODY, 0, b'{"model":"gpt-4.1-mini","stream":true,"messages":[]}'))
        for event in (
            *dialect.ended(Side.AGENT, End.COMPLETE),
            *dialect.answered(ResponseHead(200, "text/event-stream")),
        ):
            meter.apply(event, 0)
        return _timed(dialect, meter, frames)

    return once


def _results() -> Callable[[], float]:
    words = [
        {"word": f"word{n}", "punctuated_word": f"word{n}", "start": n * 0.3, "end": n * 0.3 + 0.2, "confidence": 0.99}
        for n in range(12)
    ]
    best = {"transcript": " ".join(f"word{n}" for n in range(12)), "confidence": 0.99, "words": words}
    message = {
        "type": "Results", "channel_index": [0, 1], "duration": 3.6, "start": 0.0, "is_final": False,
        "speech_final": False, "channel": {"alternatives": [best]},
        "metadata": {"request_id": "0b1c", "model_info": {"name": "general-nova-3", "version": "1", "arch": "nova-3"}},
        "from_finalize": False,
    }  # fmt: skip
    frames = [Frame(Side.PROVIDER, Kind.TEXT, number, msgspec.json.encode(message)) for number in range(1000)]

    def once() -> float:
        dialect, meter = DeepgramListen(LISTEN_HEAD), Meter()
        _feed(dialect, meter, [Frame(Side.AGENT, Kind.BINARY, 0, bytes(1600))])
        return _timed(dialect, meter, frames)

    return once


def _pcm() -> Callable[[], float]:
    sound = array("h", [round(6000 * math.sin(number / 5)) for number in range(800)]).tobytes()
    frames = [Frame(Side.AGENT, Kind.BINARY, number, sound) for number in range(1000)]
    return lambda: _timed(DeepgramListen(LISTEN_HEAD), Meter(), frames)


def _audio_chunk() -> Callable[[], float]:
    audio = base64.b64encode(bytes(9600)).decode()
    answer = {"type": "chunk", "data": audio, "done": False, "status_code": 206, "step_time": 12.3, "context_id": "a"}
    frames = [Frame(Side.PROVIDER, Kind.TEXT, number, msgspec.json.encode(answer)) for number in range(1000)]
    ask = {
        "context_id": "a", "model_id": "sonic-3", "transcript": "Hello. ", "continue": True,
        "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24_000},
    }  # fmt: skip

    def once() -> float:
        dialect, meter = CartesiaSpeech(RequestHead("GET", "/tts/websocket")), Meter()
        _feed(dialect, meter, [Frame(Side.AGENT, Kind.TEXT, 0, msgspec.json.encode(ask))])
        return _timed(dialect, meter, frames)

    return once


def _timed(dialect: Dialect, meter: Meter, frames: list[Frame]) -> float:
    """Return microseconds per frame."""
    start_ns = time.perf_counter_ns()
    _feed(dialect, meter, frames)
    return (time.perf_counter_ns() - start_ns) / len(frames) / 1000


def main() -> None:
    """Print the table."""
    lines = {
        "OpenAI chat, one SSE chunk": _sse_chunks(),
        "Deepgram listen, one Results of 12 words": _results(),
        "50 ms of 16 kHz PCM": _pcm(),
        "Cartesia, one chunk of 12.9 kB": _audio_chunk(),
    }
    print(f"{'message':<44}{'µs best':>9}{'µs median':>11}")
    for name, once in lines.items():
        figures = sorted(once() for _ in range(ROUNDS))
        print(f"{name:<44}{figures[0]:>9.2f}{figures[len(figures) // 2]:>11.2f}")


if __name__ == "__main__":
    main()

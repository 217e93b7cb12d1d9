"""Which handler serves which address: every simulated endpoint, provider by provider.

``{}`` in a path stands for one segment, as in a voice's or a transcript's id.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from voicegw_sidecar.simulator import (
    anthropic,
    assemblyai,
    assemblyai_jobs,
    cartesia,
    cartesia_http,
    cartesia_manual,
    cartesia_turns,
    deepgram,
    deepgram_flux,
    deepgram_http,
    deepgram_speak,
    elevenlabs,
    elevenlabs_scribe,
    elevenlabs_speak,
    local,
    openai,
    openai_audio,
    openai_realtime,
    openai_responses,
)
from voicegw_sidecar.simulator.visit import Visit

Handler = Callable[[Visit], Awaitable[web.StreamResponse]]
Route = tuple[str, str, str, Handler]
"""Method, path below the provider's address, the endpoint's name, and who serves it."""

ROUTES: dict[str, tuple[Route, ...]] = {
    "openai": (
        ("GET", "/", "openai.root", openai.root),
        ("GET", "/v1/", "openai.root", openai.root),
        ("GET", "/v1/models", "openai.models", openai.models),
        ("POST", "/v1/chat/completions", "openai.chat", openai.chat),
        ("POST", "/v1/audio/speech", "openai.speech", openai_audio.speech),
        ("POST", "/v1/audio/transcriptions", "openai.transcriptions", openai_audio.transcriptions),
        ("POST", "/v1/responses", "openai.responses", openai_responses.responses),
        ("GET", "/v1/responses", "openai.responses_socket", openai_responses.socket),
        ("GET", "/v1/realtime", "openai.realtime", openai_realtime.realtime),
    ),
    "groq": (
        ("GET", "/openai/v1/models", "groq.models", openai.models),
        ("POST", "/openai/v1/chat/completions", "groq.chat", openai.chat),
        ("POST", "/openai/v1/audio/speech", "groq.speech", openai_audio.speech),
        ("POST", "/openai/v1/audio/transcriptions", "groq.transcriptions", openai_audio.transcriptions),
    ),
    "deepgram": (
        ("GET", "/v1/listen", "deepgram.listen", deepgram.listen),
        ("GET", "/v1/speak", "deepgram.speak", deepgram_speak.speak),
        ("GET", "/v2/listen", "deepgram.flux", deepgram_flux.turns),
        ("GET", "/v2/speak", "deepgram.flux_speak", deepgram_speak.speak_flux),
        ("POST", "/v1/listen", "deepgram.prerecorded", deepgram_http.prerecorded),
        ("POST", "/v1/speak", "deepgram.speech", deepgram_http.speech),
        ("POST", "/v2/speak", "deepgram.flux_speech", deepgram_http.speech),
    ),
    "cartesia": (
        ("GET", "/tts/websocket", "cartesia.tts", cartesia.tts),
        ("GET", "/stt/turns/websocket", "cartesia.turns", cartesia_turns.turns),
        ("GET", "/stt/websocket", "cartesia.manual", cartesia_manual.listen),
        ("POST", "/stt", "cartesia.batch", cartesia_http.transcribe),
        ("POST", "/tts/bytes", "cartesia.bytes", cartesia_http.speech),
        ("POST", "/tts/sse", "cartesia.sse", cartesia_http.speech_events),
    ),
    "anthropic": (
        ("GET", "/v1/models", "anthropic.models", anthropic.models),
        ("POST", "/v1/messages", "anthropic.messages", anthropic.messages),
    ),
    "elevenlabs": (
        ("POST", "/v1/text-to-speech/{}", "elevenlabs.speech", elevenlabs.speech),
        ("POST", "/v1/text-to-speech/{}/stream", "elevenlabs.speech", elevenlabs.speech),
        ("POST", "/v1/text-to-speech/{}/with-timestamps", "elevenlabs.speech", elevenlabs.speech),
        ("POST", "/v1/text-to-speech/{}/stream/with-timestamps", "elevenlabs.speech", elevenlabs.speech),
        ("POST", "/v1/text-to-dialogue", "elevenlabs.speech", elevenlabs.speech),
        ("POST", "/v1/text-to-dialogue/stream", "elevenlabs.speech", elevenlabs.speech),
        ("POST", "/v1/text-to-dialogue/with-timestamps", "elevenlabs.speech", elevenlabs.speech),
        ("POST", "/v1/text-to-dialogue/stream/with-timestamps", "elevenlabs.speech", elevenlabs.speech),
        ("GET", "/v1/text-to-speech/{}/stream-input", "elevenlabs.stream", elevenlabs_speak.stream),
        ("GET", "/v1/text-to-speech/{}/multi-stream-input", "elevenlabs.contexts", elevenlabs_speak.contexts),
        ("GET", "/v1/text-to-dialogue/stream-input", "elevenlabs.stream", elevenlabs_speak.stream),
        ("GET", "/v1/text-to-dialogue/multi-stream-input", "elevenlabs.contexts", elevenlabs_speak.contexts),
        ("POST", "/v1/speech-to-text", "elevenlabs.transcribe", elevenlabs.transcribe),
        ("GET", "/v1/speech-to-text/realtime", "elevenlabs.scribe", elevenlabs_scribe.scribe),
    ),
    "assemblyai": (
        ("GET", "/v3/ws", "assemblyai.live", assemblyai.live),
        ("POST", "/v2/upload", "assemblyai.upload", assemblyai_jobs.upload),
        ("POST", "/v2/transcript", "assemblyai.transcript", assemblyai_jobs.hand_in),
        ("GET", "/v2/transcript/{}", "assemblyai.poll", assemblyai_jobs.poll),
    ),
    "ollama": (
        ("GET", "/v1/models", "ollama.models", openai.models),
        ("POST", "/v1/chat/completions", "ollama.openai_chat", openai.chat),
        ("POST", "/api/chat", "ollama.chat", local.chat),
        ("POST", "/api/generate", "ollama.generate", local.generate),
    ),
    "whisper": (("POST", "/v1/audio/transcriptions", "whisper.transcriptions", openai_audio.transcriptions),),
    "kokoro": (("POST", "/v1/audio/speech", "kokoro.speech", openai_audio.speech),),
    "piper": (
        ("POST", "/", "piper.speech", local.synthesize),
        ("POST", "/synthesize", "piper.speech", local.synthesize),
    ),
}
PROVIDERS = tuple(ROUTES)


def handler_of(method: str, path: str) -> tuple[str, Handler] | None:
    """Return the endpoint's name and handler for a request path, which begins with the provider."""
    route = _route(method, path)
    return (route[2], route[3]) if route else None


def pattern_of(method: str, path: str) -> str | None:
    """Return the pattern that a request path, which begins with the provider, fits, without the provider."""
    route = _route(method, path)
    return route[1] if route else None


def _route(method: str, path: str) -> Route | None:
    provider, _, rest = path[1:].partition("/")
    for route in ROUTES.get(provider, ()):
        if method == route[0] and _fits(route[1], f"/{rest}"):
            return route
    return None


def _fits(pattern: str, path: str) -> bool:
    if "{}" not in pattern:
        return path == pattern
    return re.fullmatch("[^/]+".join(map(re.escape, pattern.split("{}"))), path) is not None

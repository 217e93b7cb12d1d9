"""LiveKit's text-to-speech plugins, driven the same way against the simulator and through the sidecar."""

from __future__ import annotations

from livekit.agents import APIConnectOptions, tts
from livekit.plugins import cartesia, deepgram, openai

ONCE = APIConnectOptions(max_retry=0, timeout=5)


async def spoken_s(vendor: str, base: str, text: str) -> float:
    """Have a vendor's plugin speak ``text`` through ``base``; returns the seconds of audio it delivered."""
    voice = _voice(vendor, base)
    length_s = 0.0
    if vendor == "openai":
        async with voice.synthesize(text, conn_options=ONCE) as chunked:
            async for audio in chunked:
                length_s += audio.frame.duration
    else:
        async with voice.stream(conn_options=ONCE) as stream:
            stream.push_text(text)
            stream.end_input()
            async for audio in stream:
                length_s += audio.frame.duration
    await voice.aclose()
    return length_s


def _voice(vendor: str, base: str) -> tts.TTS:
    if vendor == "deepgram":
        return deepgram.TTS(api_key="k", base_url=f"{base}/v1/speak")
    if vendor == "cartesia":
        return cartesia.TTS(api_key="k", base_url=base)
    return openai.TTS(api_key="k", base_url=f"{base}/v1", response_format="pcm")

"""``STT``, ``LLM`` and ``TTS``: LiveKit's own objects, pointed at the sidecar with project and session in the address.

A named model is its vendor's plugin, and its calls pass through. ``auto`` and what no plugin speaks are LiveKit's own
Inference clients, which the sidecar's unified endpoints serve. What else a call is given goes to the object as it is.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from voicegw_sidecar.inference.errors import MissingExtraError
from voicegw_sidecar.inference.names import AUTO, Kind, Model, read_model
from voicegw_sidecar.inference.refusals import note_refusal
from voicegw_sidecar.inference.scope import base_url, current_project, unified_url

if TYPE_CHECKING:
    from livekit.agents import llm, stt, tts

ANY_KEY = "no-key-is-needed-where-the-sidecar-has-the-providers"
"""Stands where a client insists on a key: the sidecar puts the provider's in its place, or the provider refuses it."""


class Plugin(NamedTuple):
    """A class of LiveKit's plugins: where it is, what follows the provider in its address, and its words for things.

    ``variant`` is its name for the language or the voice, empty where it takes none. ``more`` is given to it unless
    the caller gives another.
    """

    name: str
    address: str = ""
    variant: str = ""
    model: str | None = None
    more: tuple[tuple[str, object], ...] = ()


KEYS = {
    "openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "groq": "GROQ_API_KEY",
    "deepgram": "DEEPGRAM_API_KEY", "assemblyai": "ASSEMBLYAI_API_KEY", "cartesia": "CARTESIA_API_KEY",
    "elevenlabs": "ELEVEN_API_KEY",
}  # fmt: skip
"""The variable that each plugin reads its key from."""
LIVEKIT: dict[Kind, dict[str, Plugin]] = {
    "stt": {
        "deepgram": Plugin("deepgram.STT", "/v1/listen", "language"),
        "deepgram/flux": Plugin("deepgram.STTv2", "/v2/listen"),
        "assemblyai": Plugin("assemblyai.STT", "", "language_codes"),
        "cartesia": Plugin("cartesia.STT", "", "language"),
        "elevenlabs": Plugin("elevenlabs.STT", "/v1", "language_code"),
        "openai": Plugin("openai.STT", "/v1", "language"),
        "groq": Plugin("groq.STT", "/openai/v1", "language"),
        "whisper": Plugin("openai.STT", "/v1", "language", model="large-v3"),
    },
    "llm": {
        "openai": Plugin("openai.LLM", "/v1"),
        "anthropic": Plugin("anthropic.LLM"),
        "groq": Plugin("groq.LLM", "/openai/v1"),
        "ollama": Plugin("openai.LLM", "/v1", model="qwen2.5:3b"),
    },
    "tts": {
        "cartesia": Plugin("cartesia.TTS", "", "voice"),
        "elevenlabs": Plugin("elevenlabs.TTS", "/v1", "voice_id"),
        "deepgram": Plugin("deepgram.TTS", "/v1/speak"),
        "deepgram/flux": Plugin("deepgram.TTSv2", "/v2/speak"),
        "openai": Plugin("openai.TTS", "/v1", "voice"),
        "groq": Plugin("groq.TTS", "/openai/v1", "voice"),
        "kokoro": Plugin(
            "openai.TTS", "/v1", "voice", model="kokoro", more=(("voice", "af_heart"), ("response_format", "pcm"))
        ),
    },
}
"""Each provider's plugin; a provider that is in none of the three speaks OpenAI's protocol."""
UNIFIED_ONLY = (("tts", "piper"),)
"""What LiveKit has no plugin for."""
_OWN_SERVER = {
    "stt": Plugin("openai.STT", "/v1", "language"),
    "llm": Plugin("openai.LLM", "/v1"),
    "tts": Plugin("openai.TTS", "/v1", "voice"),
}
ADDRESSES = frozenset({"base_url", "url", "ws_url", "websocket_base_url", "api_endpoint_base_url", "client"})
"""Arguments that say where calls go: here that is the sidecar, and the agent key must go nowhere else."""
_WORK = {"stt": "speech-to-text", "llm": "language models", "tts": "text-to-speech"}


def STT(model: str = AUTO, *, unified: bool = False, **options: Any) -> stt.STT[Any]:
    """Return LiveKit's speech-to-text for ``provider/model``, ``provider/model:language`` or ``auto``.

    ``unified`` sends a named model through the unified endpoints too, where a local model steps in once the budget
    is spent. Raises `MissingExtraError` without LiveKit, `ValueError` for a name that cannot be.
    """
    found: stt.STT[Any] = _made("stt", model, unified, options)
    return found


def LLM(model: str = AUTO, *, unified: bool = False, **options: Any) -> llm.LLM[Any]:
    """Return LiveKit's language model for ``provider/model`` or ``auto``; see `STT`."""
    found: llm.LLM[Any] = _made("llm", model, unified, options)
    return found


def TTS(model: str = AUTO, *, unified: bool = False, **options: Any) -> tts.TTS[Any]:
    """Return LiveKit's text-to-speech for ``provider/model``, ``provider/model:voice`` or ``auto``; see `STT`."""
    found: tts.TTS[Any] = _made("tts", model, unified, options)
    return found


def _made(kind: Kind, text: str, is_unified: bool, options: dict[str, Any]) -> Any:
    refuse_addresses(options)
    model = None if text == AUTO else read_model(kind, text)
    if model is None or is_unified or (kind, model.provider) in UNIFIED_ONLY:
        made = _inference(kind, text, model.variant if model else None, options)
    else:
        plugin = plugin_of(kind, model)
        made = _class(plugin.name)(**_arguments(plugin, model, options))
    made.on("error", note_refusal)
    return made


def refuse_addresses(options: dict[str, Any]) -> None:
    """Raise `ValueError` where a caller says where the calls shall go."""
    if named := sorted(ADDRESSES & options.keys()):
        raise ValueError(f"{named[0]}: calls go to the sidecar here; for another address make the object yourself")


def plugin_of(kind: Kind, model: Model) -> Plugin:
    """Return the plugin that speaks a model's protocol; raises `ValueError` where the provider does no such work."""
    flux = f"{model.provider}/flux"
    if (model.name or "").startswith("flux-") and flux in LIVEKIT[kind]:
        return LIVEKIT[kind][flux]
    if model.provider in LIVEKIT[kind]:
        return LIVEKIT[kind][model.provider]
    able = [one for one in LIVEKIT if model.provider in LIVEKIT[one] or (one, model.provider) in UNIFIED_ONLY]
    if able:
        raise ValueError(f"{model.provider} has no {_WORK[kind]}; it has {', '.join(_WORK[one] for one in able)}")
    return _OWN_SERVER[kind]


def _arguments(plugin: Plugin, model: Model, options: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"base_url": f"{base_url(model.provider)}{plugin.address}", **dict(plugin.more)}
    name = model.name or plugin.model
    if name is not None:
        found["model"] = name
    if model.variant is not None:
        if not plugin.variant:
            raise ValueError(f"{plugin.name} takes no {model.variant!r} behind its model; the model says it all")
        found[plugin.variant] = model.variant
    if key := agent_key() or _stand_in_key(model.provider):
        found["api_key"] = key
    return {**found, **options}


def agent_key() -> str | None:
    """Return ``VOICEGW_AGENT_KEY``: it says which project pays, and goes no further than the sidecar.

    Raises `ValueError` for what cannot be in a header; it is not repeated.
    """
    key = os.environ.get("VOICEGW_AGENT_KEY", "").strip()  # mounted secrets often end in a line break
    if not all("!" <= char <= "~" for char in key):
        raise ValueError("VOICEGW_AGENT_KEY: expected a key without spaces, line breaks or non-ASCII characters")
    return key or None


def _stand_in_key(provider: str) -> str | None:
    """Return something for a client that insists on a key; None where it finds the provider's by itself."""
    return None if os.environ.get(KEYS.get(provider, "")) else ANY_KEY


def _inference(kind: Kind, model: str, variant: str | None, options: dict[str, Any]) -> Any:
    """Return LiveKit's Inference client, which signs a token by the agent key, issued by the project."""
    key, project = agent_key(), current_project()
    if key is not None and project is None:
        raise ValueError(
            "VOICEGW_AGENT_KEY is set, and no project: name it by inference.set_project or VOICEGW_PROJECT"
        )
    made: dict[str, Any] = {
        "model": model, "base_url": unified_url(), "api_key": project or "default", "api_secret": key or ANY_KEY,
    }  # fmt: skip
    if variant is not None:
        made |= {"model": model.removesuffix(f":{variant}"), "language" if kind == "stt" else "voice": variant}
    return getattr(_imported("livekit.agents.inference"), kind.upper())(**{**made, **options})


def _class(path: str) -> Any:
    module, _, name = path.partition(".")
    return getattr(_imported(f"livekit.plugins.{module}"), name)


def _imported(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("livekit"):
            raise
        raise MissingExtraError(
            f"{module} is not installed; install it with: pip install 'voicegw-sidecar[livekit]'", name=error.name
        ) from None

"""The same for Pipecat: ``from voicegw_sidecar.inference import pipecat``, then ``pipecat.STT``, ``LLM`` and ``TTS``.

They return Pipecat's own services. A named model is its vendor's service, and its calls pass through; ``auto`` and
what Pipecat has no service for are its OpenAI services on the sidecar's unified endpoints.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import copy
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from voicegw_sidecar.inference.errors import MissingExtraError
from voicegw_sidecar.inference.livekit import ANY_KEY, KEYS, agent_key, refuse_addresses
from voicegw_sidecar.inference.names import AUTO, Kind, Model, read_model
from voicegw_sidecar.inference.scope import as_ws, base_url, current_project, current_session, sidecar_url, unified_url

if TYPE_CHECKING:
    from pipecat.services.llm_service import LLMService
    from pipecat.services.stt_service import STTService
    from pipecat.services.tts_service import TTSService

_Pointed = Callable[[str], dict[str, Any]]


class Service(NamedTuple):
    """A class of Pipecat's: where it is, and the arguments that point it at a provider's address here.

    ``variant`` is its setting for the language or the voice; ``model`` that for the model.
    """

    name: str
    pointed: _Pointed
    variant: str = ""
    model: str = "model"
    usual: str | None = None


def _at(argument: str, suffix: str = "") -> _Pointed:
    return lambda base: {argument: f"{base}{suffix}"}


def _at_ws(argument: str, suffix: str = "") -> _Pointed:
    return lambda base: {argument: f"{as_ws(base)}{suffix}"}


def _at_root(base: str) -> dict[str, Any]:
    """Point a client that drops an address's path: headers say what the path would."""
    told = {"X-VoiceGW-Project": current_project(), "X-VoiceGW-Session": current_session()}
    if urlsplit(sidecar_url()).path:
        raise ValueError("VOICEGW_URL: Pipecat's CartesiaSTTService keeps no path of an address, and this one has one")
    parts = urlsplit(as_ws(base))
    return {
        "base_url": f"{parts.scheme}://{parts.netloc}",
        "extra_headers": {name: value for name, value in told.items() if value is not None},
    }


def _anthropic(base: str) -> dict[str, Any]:
    client = _imported("anthropic").AsyncAnthropic
    return {"client": client(api_key=_key("anthropic"), base_url=base)}


_GROQ_TTS = "groq.tts.GroqTTSService"
PIPECAT: dict[Kind, dict[str, Service]] = {
    "stt": {
        "deepgram": Service("deepgram.stt.DeepgramSTTService", _at("base_url"), "language"),
        "deepgram/flux": Service("deepgram.flux.stt.DeepgramFluxSTTService", _at_ws("url", "/v2/listen")),
        "assemblyai": Service("assemblyai.stt.AssemblyAISTTService", _at_ws("api_endpoint_base_url", "/v3/ws")),
        "cartesia": Service("cartesia.turns.stt.CartesiaTurnsSTTService", _at_ws("url", "/stt/turns/websocket")),
        "cartesia/ink-whisper": Service("cartesia.stt.CartesiaSTTService", _at_root, "language"),
        "elevenlabs": Service("elevenlabs.stt.ElevenLabsSTTService", _at("base_url"), "language"),
        "openai": Service("openai.stt.OpenAISTTService", _at("base_url", "/v1"), "language"),
        "groq": Service("groq.stt.GroqSTTService", _at("base_url", "/openai/v1"), "language"),
        "whisper": Service("openai.stt.OpenAISTTService", _at("base_url", "/v1"), "language", usual="large-v3"),
    },
    "llm": {
        "openai": Service("openai.llm.OpenAILLMService", _at("base_url", "/v1")),
        "anthropic": Service("anthropic.llm.AnthropicLLMService", _anthropic),
        "groq": Service("groq.llm.GroqLLMService", _at("base_url", "/openai/v1")),
        "ollama": Service("ollama.llm.OLLamaLLMService", _at("base_url", "/v1"), usual="qwen2.5:3b"),
    },
    "tts": {
        "cartesia": Service("cartesia.tts.CartesiaTTSService", _at_ws("url", "/tts/websocket"), "voice"),
        "elevenlabs": Service("elevenlabs.tts.ElevenLabsTTSService", _at_ws("url"), "voice"),
        # Deepgram's voice is its model, and Pipecat's setting for it the voice
        "deepgram": Service("deepgram.tts.DeepgramTTSService", _at_ws("base_url"), model="voice"),
        "deepgram/flux": Service("deepgram.flux.tts.DeepgramFluxTTSService", _at_ws("url", "/v2/speak"), model="voice"),
        "openai": Service("openai.tts.OpenAITTSService", _at("base_url", "/v1"), "voice"),
        "groq": Service(_GROQ_TTS, lambda base: {}, "voice"),
    },
}
"""Each provider's service; a provider that is in none of the three speaks OpenAI's protocol."""
UNIFIED: dict[Kind, Service] = {
    "stt": Service("openai.stt.OpenAISTTService", lambda _: {}),
    "llm": Service("openai.llm.OpenAILLMService", lambda _: {}),
    "tts": Service("openai.tts.OpenAITTSService", lambda _: {}),
}
UNIFIED_ONLY = (("tts", "kokoro"), ("tts", "piper"))
"""Pipecat's OpenAI service knows OpenAI's voices alone; its Piper service wants Piper itself installed."""


def STT(model: str = AUTO, *, unified: bool = False, **options: Any) -> STTService:
    """Return Pipecat's speech-to-text for ``provider/model``, ``provider/model:language`` or ``auto``.

    ``options`` go to the service as they are; of its ``settings`` the model and language are set here. ``unified``
    sends a named model through the unified endpoints too. Raises `MissingExtraError` without Pipecat, `ValueError`
    for a name that cannot be.
    """
    found: STTService = _made("stt", model, unified, options)
    return found


def LLM(model: str = AUTO, *, unified: bool = False, **options: Any) -> LLMService:
    """Return Pipecat's language model for ``provider/model`` or ``auto``; see `STT`."""
    found: LLMService = _made("llm", model, unified, options)
    return found


def TTS(model: str = AUTO, *, unified: bool = False, **options: Any) -> TTSService:
    """Return Pipecat's text-to-speech for ``provider/model``, ``provider/model:voice`` or ``auto``; see `STT`."""
    found: TTSService = _made("tts", model, unified, options)
    return found


def _made(kind: Kind, text: str, is_unified: bool, options: dict[str, Any]) -> Any:
    refuse_addresses(options)
    if text == AUTO or is_unified or (kind, read_model(kind, text).provider) in UNIFIED_ONLY:
        key = agent_key() or ANY_KEY
        return _service(UNIFIED[kind], text, None, {"base_url": unified_url(), "api_key": key, **options})
    model = read_model(kind, text)
    service = service_of(kind, model)
    base = base_url(model.provider)
    given = {"api_key": _key(model.provider), **service.pointed(base)}
    headers = {**options.pop("extra_headers", {}), **given.pop("extra_headers", {})}
    given |= {**options, **({"extra_headers": headers} if headers else {})}
    made = _service(service, model.name or service.usual, model.variant, given)
    if service.name == _GROQ_TTS:  # it takes no address: its only one is a variable of the whole process
        made._client = made._client.with_options(base_url=base)
    return made


def service_of(kind: Kind, model: Model) -> Service:
    """Return the service that speaks a model's protocol; raises `ValueError` where there is none."""
    special = next((one for one in PIPECAT[kind] if "/" in one and _is_of(model, one)), model.provider)
    if special in PIPECAT[kind]:
        return PIPECAT[kind][special]
    able = [one.upper() for one in PIPECAT if model.provider in PIPECAT[one] or (one, model.provider) in UNIFIED_ONLY]
    if able:
        raise ValueError(f"{model.provider} does no such work; it has {', '.join(able)}")
    return PIPECAT[kind]["openai"]


def _is_of(model: Model, special: str) -> bool:
    provider, _, start = special.partition("/")
    return model.provider == provider and (model.name or "").startswith(start)


def _service(service: Service, model: str | None, variant: str | None, given: dict[str, Any]) -> Any:
    kind = _class(service.name)
    settings = copy(given.pop("settings", None)) or kind.Settings()  # theirs may be for several services
    if model is not None:
        setattr(settings, service.model, model)
    if variant is not None:
        if not service.variant:
            raise ValueError(f"{kind.__name__} takes no {variant!r} behind its model; give it its settings")
        setattr(settings, service.variant, variant)
    return kind(settings=settings, **given)


def _key(provider: str) -> str:
    """Return the key to present: Pipecat's services insist on one and look for none by themselves."""
    return agent_key() or os.environ.get(KEYS.get(provider, "")) or ANY_KEY


def _class(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(_imported(f"pipecat.services.{module}"), name)


def _imported(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("pipecat", "anthropic"):
            raise
        raise _missing(module, error.name) from None
    except ImportError as error:  # Pipecat's own words where a vendor's package is missing
        raise _missing(module, error.name) from error


def _missing(module: str, name: str | None) -> MissingExtraError:
    return MissingExtraError(
        f"{module} cannot be imported; install it with: pip install 'voicegw-sidecar[pipecat]'", name=name
    )

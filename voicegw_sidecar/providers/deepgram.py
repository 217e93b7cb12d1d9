"""Deepgram: speech-to-text, live and pre-recorded, and text-to-speech; Nova, Aura and Flux.

Knows Deepgram's addresses and names; its messages are in `deepgram_listen` and `deepgram_speak`.
Wire reference: https://developers.deepgram.com/reference (read 2026-11-21).
"""

from __future__ import annotations

from voicegw_sidecar.providers.base import AuthStyle, Baseline, Endpoint, ErrorShape, Provider
from voicegw_sidecar.providers.deepgram_listen import DeepgramFlux, DeepgramListen, DeepgramPrerecorded
from voicegw_sidecar.providers.deepgram_speak import (
    DeepgramFluxSpeak,
    DeepgramFluxSpeech,
    DeepgramSpeak,
    DeepgramSpeech,
)
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.frames import RequestHead

_BATCH_FAMILIES = ("nova-3", "nova-2")  # those with prices of their own for recordings


def _live_model(model: str, head: RequestHead) -> str:
    """Nova-3 has a price of its own where the query asks for several languages at once."""
    is_multilingual = head.parameter("language") == "multi" and model.startswith("nova-3")
    return "nova-3-multilingual" if is_multilingual else model


def _prerecorded_model(model: str, head: RequestHead) -> str:
    """The wire's name is the same for live and recorded speech; the prices are not."""
    family = next((family for family in _BATCH_FAMILIES if model.startswith(family)), None)
    live = _live_model(model, head)
    return live if family is None else f"{family if live == model else live}-batch"


def _error_body(status: int, code: str, message: str) -> dict[str, object]:
    return {"err_code": code, "err_msg": message, "request_id": ""}


def _flux_error_frame(key: str, code: str, message: str) -> dict[str, object]:
    """Word a refusal inside a Flux socket; Aura's and Nova's have no message for it."""
    return {"type": "Error", "sequence_id": 0, "code": code, "description": message}


DEEPGRAM = Provider(
    id="deepgram",
    base_url="https://api.deepgram.com",
    auth=AuthStyle.TOKEN,
    errors=ErrorShape(_error_body),
    endpoints=(
        Endpoint("GET", "/v1/listen", Modality.STT, DeepgramListen, is_socket=True, catalogue_model=_live_model),
        Endpoint("GET", "/v2/listen", Modality.STT, DeepgramFlux, is_socket=True, refusal_frame=_flux_error_frame),
        Endpoint("POST", "/v1/listen", Modality.STT, DeepgramPrerecorded, catalogue_model=_prerecorded_model),
        Endpoint("GET", "/v1/speak", Modality.TTS, DeepgramSpeak, is_socket=True),
        Endpoint("GET", "/v2/speak", Modality.TTS, DeepgramFluxSpeak, is_socket=True, refusal_frame=_flux_error_frame),
        Endpoint("POST", "/v1/speak", Modality.TTS, DeepgramSpeech),
        Endpoint("POST", "/v2/speak", Modality.TTS, DeepgramFluxSpeech),
    ),
    catalogue_id="deepgram",
    root_paths=("/v1/listen", "/v2/listen", "/v1/speak", "/v2/speak"),
    missing_v1=("listen", "speak"),
    bare_root="/v1/listen",
    baselines=(Baseline(Modality.STT, 250, "curated", "2026-05-11"),),
    default_models=((Modality.STT, "nova-3"), (Modality.TTS, "aura-2-thalia-en")),
)

"""Groq: OpenAI's protocols below ``/openai/v1``. Wire reference: https://console.groq.com/docs (read 2026-11-21)."""

from voicegw_sidecar.dialects.openai_audio import OpenAITranscription
from voicegw_sidecar.providers.base import AuthStyle, Baseline, Provider
from voicegw_sidecar.providers.openai import OPENAI_ERRORS, openai_endpoints
from voicegw_sidecar.terms import Modality


class GroqTranscription(OpenAITranscription):
    """Bills no request for less than 10 s (https://console.groq.com/docs/speech-to-text, read 2026-11-21)."""

    least_billed_s = 10.0


GROQ = Provider(
    id="groq", base_url="https://api.groq.com", auth=AuthStyle.BEARER, errors=OPENAI_ERRORS, catalogue_id="groq",
    endpoints=openai_endpoints("/openai/v1", GroqTranscription),
    api_root="/openai/v1", missing_v1=("chat", "audio", "models", "responses"),
    baselines=(Baseline(Modality.STT, 200, "curated", "2026-05-11"),
               Baseline(Modality.LLM, 80, "curated", "2026-05-11")),
    default_models=(
        (Modality.STT, "whisper-large-v3-turbo"), (Modality.LLM, "llama-3.3-70b-versatile"),
        (Modality.TTS, "canopylabs/orpheus-v1-english"),
    ),
)  # fmt: skip

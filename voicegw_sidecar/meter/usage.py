"""What an exchange used: reported where the provider said it, counted where it can be, else estimated and flagged.

Speech-to-text streams are not here: the meter shares their seconds out among the utterances.
"""

from __future__ import annotations

from msgspec.structs import replace

from voicegw_sidecar import estimate
from voicegw_sidecar.meter.running import Running
from voicegw_sidecar.terms import Modality, Status, Usage

DIGITS = 6
"""Seconds are kept to the microsecond, so that the stretches of a stream sum exactly."""
MOST_SECONDS = 10.0**7
_MOST_TOKENS = 10**10  # more than this in one exchange is nonsense, as is less than nothing


def usage_of(running: Running, status: Status, heard_s: float) -> tuple[Usage, bool]:
    """Return what an exchange used, and whether part of it is an estimate.

    ``heard_s`` is the audio in seconds since the previous utterance or response of the connection.
    """
    is_broken = status in (Status.CANCELLED, Status.PARTIAL, Status.OPEN)
    if status is Status.REFUSED:
        return Usage(), False
    if status is Status.UPSTREAM_ERROR and not running.has_output:
        return running.reported or Usage(), False
    match running.modality:
        case None:
            return Usage(), False
        case Modality.LLM:
            return _llm_usage(running, is_broken=is_broken)
        case Modality.S2S:
            if running.reported is not None:
                return replace(running.reported, audio_out_s=_rounded(running.audio_out_s)), False
            return estimate.s2s_usage(heard_s, running.audio_out_s or 0.0), True
        case Modality.TTS:
            return _speech_usage(running, is_broken=is_broken)
        case Modality.STT:
            reported = running.reported or Usage()
            if reported.audio_s is None and running.upload_s is not None:
                reported = replace(reported, audio_s=round(running.upload_s, DIGITS))
            return reported, is_broken and running.reported is None


def _speech_usage(running: Running, *, is_broken: bool) -> tuple[Usage, bool]:
    audio_s = running.audio_out_s if running.audio_out_known else None
    counted = Usage(characters=running.spoken.value, audio_out_s=_rounded(audio_s))
    reported = running.reported
    if reported is None:
        return counted, is_broken
    told = {name: value for name in Usage.__struct_fields__ if (value := getattr(reported, name)) is not None}
    return replace(counted, **told), False


def _llm_usage(running: Running, *, is_broken: bool) -> tuple[Usage, bool]:
    """Fill what was not reported, or was reported before there was an answer, with estimates."""
    guessed = estimate.llm_usage(running.input_chars, running.output_chars)
    reported = running.reported
    if reported is None:
        return guessed, True
    is_early = is_broken and not reported.output_tokens and running.output_chars > 0
    if reported.output_tokens is None or is_early:
        reported = replace(reported, output_tokens=guessed.output_tokens)
    if reported.input_tokens is None:
        reported = replace(reported, input_tokens=guessed.input_tokens)
    return reported, reported != running.reported


def _rounded(audio_s: float | None) -> float | None:
    return None if audio_s is None else round(audio_s, DIGITS)


def plausible(usage: Usage) -> Usage:
    """Return ``usage`` without figures that cannot be meant: negative ones and those beyond any exchange."""
    wrong: dict[str, None] = {}
    for name in usage.__struct_fields__:
        value = getattr(usage, name)
        if value is not None and not 0 <= value <= (MOST_SECONDS if isinstance(value, float) else _MOST_TOKENS):
            wrong[name] = None
    return replace(usage, **wrong) if wrong else usage

"""Estimates for what a provider did not report: always flagged, never mixed with a report.

Tokens: OpenAI's rule of thumb of four characters of English a token
(https://help.openai.com/en/articles/4936856, read 2026-11-20). Spoken audio: gpt-4o-mini-tts is sold at 12 USD
a million audio tokens and put at 0.015 USD a minute by OpenAI's price page, hence 1250 tokens a minute, and
English is read at about 15 characters a second. Speech to speech: OpenAI counts a token for every 100 ms of the
user's audio and for every 50 ms of the model's (https://platform.openai.com/docs/guides/realtime-costs, read
2026-11-21).
"""

from __future__ import annotations

from msgspec.structs import replace

from voicegw_sidecar.terms import Usage

CHARS_PER_TOKEN = 4
AUDIO_TOKENS_PER_S = 1250 / 60
SPOKEN_CHARS_PER_S = 15.0
HEARD_TOKENS_PER_S = 10
ANSWERED_TOKENS_PER_S = 20


def tokens(chars: int) -> int:
    """Estimate the tokens of ``chars`` characters; at least one where there is any text."""
    return -(-chars // CHARS_PER_TOKEN)


def llm_usage(input_chars: int | None, output_chars: int) -> Usage:
    """Estimate a completion's tokens from the prompt's and the answer's characters."""
    return Usage(
        input_tokens=None if input_chars is None else tokens(input_chars),
        output_tokens=tokens(output_chars),
    )


def speech_usage(counted: Usage) -> Usage:
    """Add estimated tokens to a speech exchange whose model is billed by tokens that were not reported."""
    chars = counted.characters or 0
    audio_s = counted.audio_out_s if counted.audio_out_s is not None else chars / SPOKEN_CHARS_PER_S
    return replace(counted, input_tokens=tokens(chars), output_audio_tokens=round(audio_s * AUDIO_TOKENS_PER_S))


def s2s_usage(heard_s: float, audio_out_s: float) -> Usage:
    """Estimate a spoken response that was not reported: the speech it answers, and what came of the answer.

    What the conversation held before is not known here, so this is the least it can have used.
    """
    heard, answered = round(heard_s * HEARD_TOKENS_PER_S), round(audio_out_s * ANSWERED_TOKENS_PER_S)
    return Usage(
        input_tokens=heard,
        output_tokens=answered,
        input_audio_tokens=heard,
        output_audio_tokens=answered,
        audio_out_s=round(audio_out_s, 6),
    )

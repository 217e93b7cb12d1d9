"""Languages: tags, codes and refusals."""

from __future__ import annotations

import pytest

from voicegw_sidecar.drivers.language import language_code, language_tag, not_spoken
from voicegw_sidecar.errors import BadRequest


@pytest.mark.parametrize(
    ("language", "tag", "code"),
    [
        (None, None, None),
        ("multi", None, None),
        ("en", "en", "en"),
        ("pt-BR", "pt-BR", "pt"),
        ("EN-us", "EN-us", "en"),
        ("zh-Hant-TW", "zh-Hant-TW", "zh"),
        ("es-419", "es-419", "es"),
        ("yue", "yue", "yue"),
    ],
)
def test_a_tag_is_kept_and_its_first_part_is_the_code(language: str | None, tag: str | None, code: str | None) -> None:
    assert (language_tag(language), language_code(language)) == (tag, code)


@pytest.mark.parametrize("language", ["", "english!", "e", "engl", "en_US", "en-", "en US", "en\r\nX: y"])
def test_what_is_no_tag_is_refused(language: str) -> None:
    with pytest.raises(BadRequest, match=r"^language: found .*, expected a BCP-47 tag such as 'en'"):
        language_code(language)


def test_a_refusal_says_what_was_found_what_is_expected_and_what_to_do() -> None:
    refusal = not_spoken("fr", "ink-2", "'en'", "use ink-whisper for it")
    assert refusal.message == "language: found 'fr', which ink-2 does not know; expected 'en'; use ink-whisper for it"

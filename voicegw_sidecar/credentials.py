"""Keys on their way: what an agent sent is taken out, the configured key is put in, in the provider's style.

Pure: headers and queries in and out. Nothing here logs, stores or compares a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import unquote_plus

from msgspec import Struct

from voicegw_sidecar.providers.base import AuthStyle, Provider
from voicegw_sidecar.terms import Secret

Headers = tuple[tuple[str, str], ...]
_CARRIERS = frozenset({"authorization", "x-api-key", "xi-api-key", "api-key"})
_PROTOCOL_HEADER = "sec-websocket-protocol"
_KEY_PARAMETERS = frozenset({
    "api_key", "apikey", "access_token", "authorization", "token", "xi-api-key", "xi_api_key", "single_use_token",
    "key",
})  # fmt: skip
_KEY_WORDS = ("token", "bearer")  # Deepgram's subprotocols: the word, then the key
_KEY_PROTOCOL = "openai-insecure-api-key."
_OWN_PREFIXES = ("x-voicegw-", "x-livekit-")


class Swap(Struct, frozen=True):
    """What becomes of an agent's credentials on their way: they pass, or ``key`` takes their place.

    With neither they are taken out: they were meant for the sidecar, or for another provider. ``is_ours`` knows
    the sidecar's own keys by their text: they are taken out wherever they are.
    """

    key: Secret | None = None
    passes: bool = False
    is_ours: Callable[[str], bool] = lambda text: False


def swapped_headers(headers: Headers, provider: Provider, swap: Swap) -> Headers:
    """Return headers for the provider: ours and LiveKit's never, credentials as ``swap`` says."""
    kept = tuple(pair for pair in headers if not pair[0].lower().startswith(_OWN_PREFIXES))
    if swap.passes:
        return kept
    others = tuple(
        pair for pair in kept if pair[0].lower() not in _CARRIERS and not any(map(swap.is_ours, _spellings(pair[1])))
    )
    return others if swap.key is None else (*others, *_key_header(provider.auth, swap.key))


def swapped_query(query: str, swap: Swap) -> str:
    """Return the raw query without the parameters that carry a key, unless credentials pass."""
    if swap.passes or not query:
        return query

    def is_key(part: str) -> bool:
        name, _, value = part.partition("=")
        return unquote_plus(name).lower() in _KEY_PARAMETERS or any(map(swap.is_ours, _spellings(unquote_plus(value))))

    return "&".join(part for part in query.split("&") if not is_key(part))


def swapped_subprotocols(headers: Headers, swap: Swap) -> tuple[str, ...]:
    """Return the subprotocols to offer upstream, without those that carry a key unless credentials pass."""
    names = _names(",".join(value for name, value in headers if name.lower() == _PROTOCOL_HEADER))
    if swap.passes:
        return names
    kept: list[str] = []
    for before, name in zip(("", *names), names, strict=False):
        is_key = before.lower() in _KEY_WORDS or name.lower() in _KEY_WORDS or name.startswith(_KEY_PROTOCOL)
        if not is_key and not swap.is_ours(name):
            kept.append(name)
    return tuple(kept)


def presented(headers: Headers, query: str) -> Iterator[str]:
    """Yield every text in which a client may have put its API key: to be compared, never kept."""
    for name, value in headers:
        lower = name.lower()
        if lower in _CARRIERS:
            yield from _spellings(value)
        if lower == _PROTOCOL_HEADER:
            for protocol in _names(value):
                yield protocol.removeprefix(_KEY_PROTOCOL)
    for part in query.split("&"):
        parameter, _, value = part.partition("=")
        if unquote_plus(parameter).lower() in _KEY_PARAMETERS:
            yield unquote_plus(value)


def _spellings(value: str) -> tuple[str, str]:
    """A key as it stands, and behind a scheme word such as ``Bearer``."""
    text = value.strip()
    return text, text.partition(" ")[2].strip()


def _names(offered: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (offered or "").split(",") if name.strip())


def _key_header(style: AuthStyle, key: Secret) -> Headers:
    value = key.reveal()
    match style:
        case AuthStyle.BEARER:
            return (("Authorization", f"Bearer {value}"),)
        case AuthStyle.TOKEN:
            return (("Authorization", f"Token {value}"),)
        case AuthStyle.RAW:
            return (("Authorization", value),)
        case AuthStyle.X_API_KEY:
            return (("X-API-Key", value),)
        case AuthStyle.XI_API_KEY:
            return (("xi-api-key", value),)
        case AuthStyle.NONE:
            return ()

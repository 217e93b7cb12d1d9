"""Keys on their way: what an agent sent is taken out, the configured key is put in, in the provider's style.

Pure: headers and queries in and out. Nothing here logs, stores or compares a key.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote_plus

from msgspec import Struct

from voicegw_sidecar.providers.base import AuthStyle, Provider
from voicegw_sidecar.terms import Secret

Headers = tuple[tuple[str, str], ...]
_CARRIERS = frozenset({"authorization", "x-api-key", "xi-api-key", "api-key"})
_KEY_PARAMETERS = frozenset({"api_key", "access_token", "token", "xi-api-key", "single_use_token", "key"})
_KEY_WORDS = ("token", "bearer")  # Deepgram's subprotocols: the word, then the key
_KEY_PROTOCOL = "openai-insecure-api-key."
_OWN_PREFIXES = ("x-voicegw-", "x-livekit-")


class Swap(Struct, frozen=True):
    """What becomes of an agent's credentials on their way: they pass, or ``key`` takes their place.

    With neither they are taken out: they were meant for the sidecar, or for another provider.
    """

    key: Secret | None = None
    passes: bool = False


def swapped_headers(headers: Headers, provider: Provider, swap: Swap) -> Headers:
    """Return headers for the provider: ours and LiveKit's never, credentials as ``swap`` says."""
    kept = tuple(pair for pair in headers if not pair[0].lower().startswith(_OWN_PREFIXES))
    if swap.passes:
        return kept
    others = tuple(pair for pair in kept if pair[0].lower() not in _CARRIERS)
    return others if swap.key is None else (*others, *_key_header(provider.auth, swap.key))


def swapped_query(query: str, swap: Swap) -> str:
    """Return the raw query without the parameters that carry a key, unless credentials pass."""
    if swap.passes or not query:
        return query
    return "&".join(part for part in query.split("&") if unquote_plus(part.partition("=")[0]) not in _KEY_PARAMETERS)


def swapped_subprotocols(offered: str | None, swap: Swap) -> tuple[str, ...]:
    """Return the subprotocols to offer upstream, without those that carry a key unless credentials pass."""
    names = _names(offered)
    if swap.passes:
        return names
    if names and names[0].lower() in _KEY_WORDS:
        return names[2:]
    return tuple(name for name in names if not name.startswith(_KEY_PROTOCOL))


def presented(headers: Headers, query: str) -> Iterator[str]:
    """Yield every text in which a client may have put its API key: to be compared, never kept."""
    for name, value in headers:
        lower = name.lower()
        if lower in _CARRIERS:
            yield value.strip()
        if lower == "authorization":
            yield value.strip().partition(" ")[2].strip()
        if lower == "sec-websocket-protocol":
            for protocol in _names(value):
                yield protocol.removeprefix(_KEY_PROTOCOL)
    for part in query.split("&"):
        parameter, _, value = part.partition("=")
        if unquote_plus(parameter) in _KEY_PARAMETERS:
            yield unquote_plus(value)


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

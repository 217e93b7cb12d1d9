"""Keys on their way: what an agent sent is taken out, the configured key is put in, in the provider's style.

Pure: headers and queries in and out. Nothing here logs, stores or compares a key.
"""

from __future__ import annotations

from urllib.parse import unquote_plus

from voicegw_sidecar.providers.base import AuthStyle, Provider
from voicegw_sidecar.terms import Secret

Headers = tuple[tuple[str, str], ...]
_CARRIERS = frozenset({"authorization", "x-api-key", "xi-api-key", "api-key"})
_KEY_PROTOCOLS = ("openai-insecure-api-key.",)
_OWN_PREFIXES = ("x-voicegw-", "x-livekit-")


def swapped_headers(headers: Headers, provider: Provider, key: Secret | None) -> Headers:
    """Return headers for the provider: ours and LiveKit's never, the configured key in place of any other."""
    kept = tuple(pair for pair in headers if not pair[0].lower().startswith(_OWN_PREFIXES))
    if key is None:
        return kept
    others = tuple(pair for pair in kept if pair[0].lower() not in _CARRIERS)
    return (*others, *_key_header(provider.auth, key))


def swapped_query(query: str, provider: Provider, key: Secret | None) -> str:
    """Return the raw query without parameters that carry a key, where a configured one takes their place."""
    if key is None or not provider.query_credentials or not query:
        return query
    return "&".join(
        part for part in query.split("&") if unquote_plus(part.partition("=")[0]) not in provider.query_credentials
    )


def swapped_subprotocols(offered: str | None, key: Secret | None) -> tuple[str, ...]:
    """Return the subprotocols to offer upstream; with a configured key, those that carry one stay behind."""
    names = tuple(name.strip() for name in (offered or "").split(",") if name.strip())
    if key is None:
        return names
    if names and names[0].lower() in ("token", "bearer"):
        return names[2:]  # Deepgram's form: the word, then the key
    return tuple(name for name in names if not name.startswith(_KEY_PROTOCOLS))


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

"""Which local servers answer on this machine, told by what only they answer: their ports are other programs' too."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import msgspec

from voicegw_sidecar.providers import ALL

_LIMIT_S = 0.5
_ANSWER_BYTES = 1024 * 1024
ADDRESSES: Mapping[str, str] = {provider.id: provider.base_url for provider in ALL if provider.is_local}
_PIPER = "piper"


def answering(addresses: Mapping[str, str] = ADDRESSES) -> tuple[str, ...]:
    """Return the local providers that answer; all are asked at once, and briefly."""
    with ThreadPoolExecutor(max(1, len(addresses)), thread_name_prefix="look") as pool:
        found = pool.map(_answers, addresses.items())
        return tuple(provider for provider, is_there in zip(addresses, found, strict=True) if is_there)


def _answers(entry: tuple[str, str]) -> bool:
    provider, address = entry
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_LIMIT_S)
    try:
        connection.request("GET", f"{parts.path}{'/voices' if provider == _PIPER else '/v1/models'}")
        response = connection.getresponse()
        body = response.read(_ANSWER_BYTES)
        found = msgspec.json.decode(body) if response.status == 200 else None
    except (OSError, http.client.HTTPException, msgspec.DecodeError, RecursionError):
        return False
    finally:
        connection.close()
    if not isinstance(found, dict):
        return False
    # Piper lists its voices by name, the others their models as OpenAI does
    return bool(found) if provider == _PIPER else isinstance(found.get("data"), list)

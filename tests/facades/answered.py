"""The real OpenAI SDK, answered with bytes that were made here: what it makes of them is what a caller sees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
from openai import OpenAI


@contextmanager
def answered(body: bytes, content_type: str = "application/json", status: int = 200) -> Iterator[OpenAI]:
    """A client whose every request is answered so."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"Content-Type": content_type}, content=body)

    with httpx2.Client(transport=httpx2.MockTransport(answer)) as http:
        yield OpenAI(api_key="sk-agent", base_url="http://sidecar/v1", max_retries=0, http_client=http)

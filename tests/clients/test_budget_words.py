"""A spent budget as the SDKs of Anthropic, ElevenLabs and AssemblyAI raise it: once, in their provider's own words."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from anthropic import APIStatusError, AsyncAnthropic
from assemblyai.streaming.v3 import AsyncStreamingClient, StreamingEvents
from elevenlabs import AsyncElevenLabs
from elevenlabs.core.api_error import ApiError

from tests.clients.test_anthropic_sdk import ASKED, MODEL
from tests.clients.test_assemblyai_sdk import options_of, wanted
from tests.clients.test_elevenlabs_sdk import TEXT, VOICE
from tests.conftest import StartSidecar
from tests.sidecar import Sidecar
from tests.simulator.conftest import quick
from voicegw_sidecar.simulator import Simulator

# ElevenLabs' SDK cannot be closed
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PROJECT = "projects: {acme: {daily_budget: 0.000001, budget_action: block}}\n"
PROVIDERS = ("anthropic", "elevenlabs", "assemblyai")


@pytest.fixture(autouse=True)
def nothing_left_for_the_next_test() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
async def spent(start_sidecar: StartSidecar) -> AsyncIterator[Sidecar]:
    """A sidecar whose project has nothing left."""
    async with Simulator(quick()) as simulator:
        bases = {name: simulator.base_url(name) for name in PROVIDERS}
        async with start_sidecar(PROJECT, **bases) as sidecar:
            async with AsyncAnthropic(api_key="k", base_url=f"{sidecar.url}/p/acme/anthropic") as client:
                await client.messages.create(model=MODEL, max_tokens=9, messages=ASKED)
            await sidecar.rows(1)
            yield sidecar


async def check_refused(sidecar: Sidecar) -> None:
    refused = (await sidecar.rows(2))[1]
    assert (refused.status, refused.http_status, refused.cost_nanousd) == ("refused", 402, 0)


async def test_anthropic(spent: Sidecar) -> None:
    async with AsyncAnthropic(api_key="k", base_url=f"{spent.url}/p/acme/anthropic") as client:
        with pytest.raises(APIStatusError) as caught:
            await client.messages.create(model=MODEL, max_tokens=9, messages=ASKED, stream=True)
    assert (caught.value.status_code, caught.value.type) == (402, "billing_error")
    assert "acme" in caught.value.message
    await check_refused(spent)


async def test_elevenlabs(spent: Sidecar) -> None:
    speech = AsyncElevenLabs(api_key="k", base_url=f"{spent.url}/p/acme/elevenlabs").text_to_speech
    with pytest.raises(ApiError) as caught:
        _ = [piece async for piece in speech.convert(VOICE, text=TEXT)]
    detail = caught.value.body["detail"]
    assert (caught.value.status_code, detail["code"], detail["status"]) == (402, "quota_exceeded", "quota_exceeded")
    assert "acme" in detail["message"]
    await check_refused(spent)


async def test_assemblyai(spent: Sidecar) -> None:
    errors: list[Any] = []
    client = AsyncStreamingClient(options_of(f"{spent.url}/p/acme/assemblyai"))
    client.on(StreamingEvents.Error, lambda _, error: errors.append(error))
    await client.connect(wanted())
    await client.disconnect()
    assert [error.code for error in errors] == [402]
    await check_refused(spent)

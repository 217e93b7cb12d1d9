"""The simulated realtime sessions and response sockets, driven by the real SDK and by bare sockets."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec
import pytest
from openai import AsyncOpenAI

from tests.clients.test_openai_realtime import FRAMES, SESSION, encoded
from tests.simulator.conftest import ANSWER, eventually, quick
from voicegw_sidecar.simulator import Simulator, Speaking, Thinking

TOOL: Any = {
    "type": "function",
    "name": "look_up",
    "parameters": {"properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def client_of(simulator: Simulator) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="k", base_url=f"{simulator.base_url('openai')}/v1")


async def test_speech_interrupts_the_answer_that_is_given(simulator: Simulator) -> None:
    simulator.script = quick(speech=Speaking(s_per_char=0.5, pace=2.0))
    statuses = []
    async with client_of(simulator) as client, client.realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(session=SESSION)
        await connection.response.create()
        async for event in connection:
            if event.type == "response.output_audio.delta":
                break
        for frame in FRAMES:
            await connection.input_audio_buffer.append(audio=encoded(frame))
        async for event in connection:
            if event.type == "response.done":
                statuses.append((event.response.status, event.response.status_details.reason))  # type: ignore[union-attr]
            if event.type == "response.created" and statuses:
                break
    assert statuses == [("cancelled", "turn_detected")]
    answers = [entry for entry in simulator.ledger.work("openai.realtime") if entry.key.startswith("resp_")]
    assert answers[0].audio_out_s
    await eventually(lambda: answers[1].hung_up_ns is not None)


async def test_tool_is_called(simulator: Simulator) -> None:
    simulator.script = quick(chat=Thinking(first_token_ms=1.0, answers=(ANSWER,), tool="look_up"))
    async with client_of(simulator) as client, client.realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(session={"type": "realtime", "tools": [TOOL]})
        await connection.response.create()
        async for event in connection:
            if event.type == "response.done":
                break
    [call] = event.response.output
    assert (call.type, call.name, call.arguments) == ("function_call", "look_up", '{"city":"Paris"}')


@pytest.mark.parametrize(
    "message",
    [{"type": "response.cancel"}, {"type": "input_audio_buffer.commit"}, {"type": "news"}, {}],
    ids=lambda message: message.get("type", "none"),
)
async def test_what_is_not_possible_now_is_an_error(simulator: Simulator, message: dict[str, str]) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{simulator.base_url('openai')}/v1/realtime?model=gpt-realtime") as socket:
            assert (await socket.receive_json())["type"] == "session.created"
            await socket.send_json(message)
            assert (await socket.receive_json())["type"] == "error"


@pytest.mark.parametrize("refuses", [True, False])
async def test_model_of_a_transcription_session_is_refused_where_asked_for(simulator: Simulator, refuses: bool) -> None:
    simulator.script = msgspec.structs.replace(simulator.script, refuses_model_of_transcription=refuses)
    address = f"{simulator.base_url('openai')}/v1/realtime?intent=transcription&model=gpt-4o-transcribe"
    async with aiohttp.ClientSession() as http:
        if refuses:
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await http.ws_connect(address)
            assert caught.value.status == 400
        else:
            async with http.ws_connect(address) as socket:
                created = await socket.receive_json()
                assert created["session"]["type"] == "transcription"


async def test_follow_up_is_billed_for_what_it_takes_over(simulator: Simulator) -> None:
    async with client_of(simulator) as client, client.responses.connect() as connection:
        last: dict[str, Any] = {}
        for _ in range(2):
            await connection.response.create(model="m", input="Where is my order?", **last)
            async for event in connection:
                if event.type == "response.completed":
                    last = {"previous_response_id": event.response.id}
                    break
    first, second = simulator.ledger.work("openai.responses_socket")
    assert second.input_tokens == (first.input_tokens or 0) * 2 + (first.output_tokens or 0)


async def test_response_that_cannot_be_read_is_an_error(simulator: Simulator) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(f"{simulator.base_url('openai')}/v1/responses") as socket:
            await socket.send_str('{"type":"response.create"}')
            assert (await socket.receive_json())["type"] == "error"

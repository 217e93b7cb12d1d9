"""Long requests: what takes milliseconds is done beside the loop, and metered all the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.conftest import ANSWER
from tests.unified.conftest import Setup
from voicegw_sidecar.drivers.openai_recording import OpenAIRecordingDriver
from voicegw_sidecar.drivers.segments import wav_file
from voicegw_sidecar.facades.chat import Chat
from voicegw_sidecar.facades.transcription import Transcribe
from voicegw_sidecar.unified.provider_request import off_loop

LONG_S, SHORT_S = 40, 1
Named = tuple[type, str]


@pytest.mark.parametrize(("size_bytes", "is_here"), [(0, True), (256 * 1024, True), (256 * 1024 + 1, False)])
async def test_work_on_many_bytes_is_done_on_a_thread(size_bytes: int, is_here: bool) -> None:
    assert (await off_loop(size_bytes, threading.current_thread) is threading.current_thread()) is is_here


async def test_what_fails_on_a_thread_fails_here() -> None:
    with pytest.raises(ZeroDivisionError):
        await off_loop(10**6, divmod, 1, 0)


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> Callable[..., set[str]]:
    """A function that watches methods, and returns where those that were called ran: ``here`` or ``beside``."""
    loop = threading.current_thread()

    def watch(*watched: Named) -> set[str]:
        found: set[str] = set()
        for owner, name in watched:
            plain = getattr(owner, name)

            def told(*values: Any, _plain: Callable[..., Any] = plain, **more: Any) -> Any:
                found.add("here" if threading.current_thread() is loop else "beside")
                return _plain(*values, **more)

            monkeypatch.setattr(owner, name, told)
        return found

    return watch


@pytest.mark.parametrize(("length_s", "expected"), [(SHORT_S, {"here"}), (LONG_S, {"beside"})])
@pytest.mark.parametrize(
    ("model", "asks"),
    [("openai/whisper-1", (Transcribe, "passed_on")), ("groq/whisper-large-v3", (OpenAIRecordingDriver, "request"))],
)
async def test_a_long_recording_holds_up_nothing(
    unified: Setup, places: Callable[..., set[str]], model: str, asks: Named, length_s: int, expected: set[str]
) -> None:
    where = places((Transcribe, "__init__"), asks)
    file = wav_file(bytes(length_s * 32_000), 16_000)
    async with unified.openai() as client:
        await client.audio.transcriptions.create(model=model, file=("a.wav", file))
    [row] = await unified.sidecar.rows(1)
    assert where == expected
    assert (row.status, row.usage.audio_s) == ("ok", max(length_s, 10) if model.startswith("groq") else length_s)


@pytest.mark.parametrize(("chars", "expected"), [(100, {"here"}), (10**6, {"beside"})])
@pytest.mark.parametrize("streamed", [True, False])
async def test_a_long_chat_holds_up_nothing(
    unified: Setup, places: Callable[..., set[str]], streamed: bool, chars: int, expected: set[str]
) -> None:
    where = places((Chat, "__init__"), (Chat, "attempt"))
    messages: list[Any] = [{"role": "user", "content": "x" * chars}]
    text = ""
    async with unified.openai() as client:
        made: Any = client.chat.completions
        answer = await made.create(model="openai/gpt-4.1-mini", messages=messages, stream=streamed)
        if streamed:
            async for chunk in answer:
                text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        else:
            text = answer.choices[0].message.content
    [row] = await unified.sidecar.rows(1)
    assert (where, text, row.status) == (expected, ANSWER, "ok")

"""Real SDKs, LiveKit's plugins and Pipecat's services through the executable: one of each wire protocol and client.

The whole matrix runs through the same code in ``tests/clients``; here is what only the file itself can show, that
nothing those clients need was left out of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.clients.cases import MODULES
from tests.clients.runs import SPENT, WELL, Played, play
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.terms import Status

pytestmark = pytest.mark.timeout(400)
AT_ONCE = 2  # to import a client takes most of the time
CHOSEN = (
    "openai-sdk-chat-streamed", "openai-sdk-response-socket", "openai-sdk-conversation",
    "anthropic-sdk-message-streamed",
    "groq-sdk-transcription", "deepgram-sdk-listen", "assemblyai-sdk-stream", "cartesia-sdk-speech-socket",
    "elevenlabs-sdk-live", "livekit-openai-llm-chat", "livekit-deepgram-stt-stream", "livekit-cartesia-tts-stream",
    "livekit-elevenlabs-tts-stream", "livekit-openai-stt-on-a-local-whisper", "pipecat-anthropicllmservice-message",
    "pipecat-deepgramsttservice-stream", "pipecat-cartesiattsservice-stream",
)  # fmt: skip
CASES = {case.name: (module, case) for module in MODULES for case in module.CASES}


@pytest.fixture(scope="module")
def seen(executable: Path) -> Callable[[str, str], Played]:
    """What came of each chosen case through the executable."""
    by_module: dict[str, list[str]] = defaultdict(list)
    for name in CHOSEN:
        by_module[CASES[name][0].__name__].append(name)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        played = pool.map(lambda item: play(item[0], executable, item[1]), by_module.items())
        found = {(one.case, one.fault): one for module in played for one in module}
    return lambda name, fault: found[name, fault]


@pytest.mark.parametrize("name", CHOSEN)
def test_a_client_gets_what_it_gets_directly_and_leaves_a_row(name: str, seen: Callable[[str, str], Played]) -> None:
    case, found = CASES[name][1], seen(name, WELL)
    assert found.direct is not None
    assert (found.relayed.error, found.relayed.message) == ("", "")
    assert found.relayed.value == found.direct.value
    assert found.relayed.value
    rows = [row for row in found.rows if row.modality is not None]
    assert rows
    assert {row.provider for row in rows} == {case.provider}
    assert any(row.cost_nanousd is not None for row in rows) or case.is_unpriced


@pytest.mark.parametrize("name", CHOSEN)
def test_a_spent_budget_is_refused_in_the_providers_words(name: str, seen: Callable[[str, str], Played]) -> None:
    case, found = CASES[name][1], seen(name, SPENT)
    if BY_ID[case.provider].is_local:
        assert (found.relayed.error, {row.status for row in found.rows}) == ("", {Status.OK})
        return
    assert found.relayed.error
    assert {row.status for row in found.rows} == {Status.REFUSED}

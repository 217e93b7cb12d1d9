"""A conversation of ten turns held by LiveKit Agents, which says nothing to the sidecar about what belongs together."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.sessions.check import (
    check_exchanges,
    check_nothing_was_kept,
    check_parts,
    check_session,
    check_turns,
)
from tests.sessions.conftest import OpenStage
from tests.sessions.conversation import hold
from tests.sessions.livekit_phone import answered_by_livekit

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


async def test_session_of_a_conversation_held_by_livekit(
    open_stage: OpenStage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="voicegw_sidecar")
    async with open_stage("") as stage:
        async with answered_by_livekit(stage.base) as phone:
            held = await hold(phone, stage.simulator, stage.sounds)
        exchanges = await check_exchanges(stage.sidecar, held)
        close = f"{stage.sidecar.url}/v1/sessions/{exchanges[0]['session_id']}/close"
        async with stage.sidecar.http.post(close) as closed:
            session = await closed.json()
    check_session(session, exchanges, held)
    check_turns(session)
    check_parts(session, held)
    check_nothing_was_kept(tmp_path, caplog)

"""A conversation of ten turns held by Pipecat, which says nothing to the sidecar about what belongs together."""

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
    only_session,
)
from tests.sessions.conftest import OpenStage
from tests.sessions.conversation import hold
from tests.sessions.pipecat_phone import answered_by_pipecat

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:websockets.*is deprecated:DeprecationWarning"),
]


async def test_session_of_a_conversation_held_by_pipecat(
    open_stage: OpenStage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="voicegw_sidecar")
    async with open_stage("sessions: {idle_seconds: 1}") as stage:
        async with answered_by_pipecat(stage.base) as phone:
            held = await hold(phone, stage.simulator, stage.sounds)
        exchanges = await check_exchanges(stage.sidecar, held)
        session = await only_session(stage.sidecar, is_closed=True)
    check_session(session, exchanges, held)
    check_turns(session)
    check_parts(session, held)
    check_nothing_was_kept(tmp_path, caplog)

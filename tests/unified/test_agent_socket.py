"""The inbox of an agent's socket: order, what goes ahead, limits."""

from __future__ import annotations

import pytest
from msgspec import Struct

from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.unified.agent_socket import INBOX_LIMIT_BYTES, Inbox


class Said(Struct):
    text: str


async def test_messages_come_in_order_and_notes_ahead_of_them() -> None:
    inbox: Inbox[Said] = Inbox()
    inbox.put(Said("one"), 3)
    inbox.put(Said("two"), 3)
    inbox.note(Said("note"))
    inbox.tick()
    assert [await inbox.take() for _ in range(4)] == [None, Said("note"), Said("one"), Said("two")]


async def test_unreadable_message_is_its_error_in_its_turn() -> None:
    inbox: Inbox[Said] = Inbox()
    inbox.put(BadRequest("found nonsense"), 3)
    inbox.put(Said("two"), 3)
    with pytest.raises(BadRequest, match="nonsense"):
        await inbox.take()
    assert await inbox.take() == Said("two")


async def test_limit_is_of_bytes_and_messages_without_any_count_too() -> None:
    inbox: Inbox[Said] = Inbox()
    inbox.put(Said("much"), INBOX_LIMIT_BYTES + 1)
    assert inbox.is_full
    await inbox.take()
    assert not inbox.is_full
    for _ in range(5000):
        inbox.put(Said("a"), 1)
    assert not inbox.is_full
    for _ in range(INBOX_LIMIT_BYTES // 256):
        inbox.put(Said(""), 0)
    assert inbox.is_full

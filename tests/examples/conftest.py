"""What agents leave behind is collected here, not in the next test."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_socket_is_left() -> Iterator[None]:
    yield
    gc.collect()

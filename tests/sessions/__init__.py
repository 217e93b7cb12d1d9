"""Conversations held by real agents, against what the simulator knows of them."""

import pytest

pytest.register_assert_rewrite("tests.sessions.check", "tests.sessions.truth")

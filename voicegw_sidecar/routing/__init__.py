"""Choosing a session's triple: rosters, expected latencies and a latency budget in, a decision with reasons out."""

"""Drivers: asks in neutral words put into each provider's messages, for the unified endpoints."""

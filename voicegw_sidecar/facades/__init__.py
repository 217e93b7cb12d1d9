"""Facades: the agents' protocols of the unified endpoints, read into asks and written from events. Sans IO."""

"""voicegw-sidecar: relays, times and prices a voice agent's provider calls from localhost."""

__version__ = "0.1.0"

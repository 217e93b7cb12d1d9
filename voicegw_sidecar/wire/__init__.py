"""Sans-IO framing: bytes to payloads. No provider is named here."""

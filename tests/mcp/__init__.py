"""The MCP server, by the official client over stdio, beside real sidecars."""

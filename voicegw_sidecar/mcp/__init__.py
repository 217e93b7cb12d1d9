"""The MCP server: tools for people who run the sidecar from an editor. A client of the HTTP API, nothing more."""

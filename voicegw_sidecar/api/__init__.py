"""The control plane's JSON: one file per resource, no SQL, every answer a Struct."""

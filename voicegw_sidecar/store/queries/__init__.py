"""Questions to the database: one function, one question, one Struct. Each runs on a reader thread."""

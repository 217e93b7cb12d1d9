"""SQLite: one writer thread with group commit, readers on their own threads. Nothing else holds SQL."""

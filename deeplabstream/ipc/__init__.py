"""Communication between processes: shared-memory ring, journal, pipes."""

"""Settings files: reading, validation, editing, reference text."""

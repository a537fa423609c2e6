"""Run folders: writing, reading, repair."""

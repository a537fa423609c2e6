"""Command-line programs, not imported by other modules."""

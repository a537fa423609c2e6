"""Replay: video replay, re-run of decisions, rehearsal."""

"""Triggers, one family per file."""

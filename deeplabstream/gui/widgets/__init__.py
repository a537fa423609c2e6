"""Widgets that the pages consist of."""

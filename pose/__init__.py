"""From image to pose."""

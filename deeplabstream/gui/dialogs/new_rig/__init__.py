"""Wizard for a new rig, page by page."""

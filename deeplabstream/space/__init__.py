"""Calibrated cameras and points in space: numbers only, no files."""

"""Calibrations of cameras: files of this and other programs."""

"""Calibration of several cameras from videos of a ChArUco board."""

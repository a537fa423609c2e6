"""Filters of poses: plausibility, smoothing, prediction, live crop."""

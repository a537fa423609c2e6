"""Simulated arena, animals and camera timing."""

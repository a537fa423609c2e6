"""Latency test: a board lights an LED in the camera's view and reads the output back."""

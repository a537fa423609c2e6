"""Alignment of a run's clock with the clocks of other recorders, from shared TTL edges."""

"""Numerics on plain arrays: assignment, clock synchronisation, PCA, peri-event averages."""

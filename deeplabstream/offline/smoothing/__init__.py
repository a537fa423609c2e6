"""Smoothing of poses over time: ensembles, Kalman filters, several cameras."""

"""Learned appearance of animals: certain tracks, embedding network, cross-validation."""

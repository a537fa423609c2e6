"""Distillation: a fast network that learns from a slow one on videos without labels."""

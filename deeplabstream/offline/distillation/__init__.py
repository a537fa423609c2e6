"""Distillation: training of a fast network with labels from a slow one, on unlabelled videos."""

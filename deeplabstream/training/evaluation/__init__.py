"""Evaluation of networks: errors, confidence, reports."""

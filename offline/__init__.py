"""Whole videos, as fast as the machine allows."""

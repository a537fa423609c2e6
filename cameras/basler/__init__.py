"""Basler cameras, through the vendor's pylon."""

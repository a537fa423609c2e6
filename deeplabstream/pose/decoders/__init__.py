"""Decoders: from a network's output arrays to points."""

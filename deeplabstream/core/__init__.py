"""Vocabulary shared by all packages: frames, poses, commands, clocks, geometry, errors."""

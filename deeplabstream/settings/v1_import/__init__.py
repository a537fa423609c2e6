"""Import of settings and experiment files of DeepLabStream 1."""

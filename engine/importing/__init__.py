"""Files of DeepLabStream 1, turned into ours."""

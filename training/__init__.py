"""From labelled frames to a model folder."""

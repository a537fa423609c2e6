"""The engine: the loop, trigger evaluation, experiment, outputs."""

"""Contracts of the plug-in families: cameras, triggers, experiments, outputs, inputs."""

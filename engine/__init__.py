"""The machine: the one loop, the processes, the settings."""

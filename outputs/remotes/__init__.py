"""Programs that start and stop the rig, and recorders that it starts and stops."""

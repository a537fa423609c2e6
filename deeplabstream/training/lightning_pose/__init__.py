"""Lightning Pose's projects, configuration files, checkpoints and result files."""

"""Session: start, stop and state of a rig's processes."""

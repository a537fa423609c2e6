"""Where frames come from: one driver a file."""

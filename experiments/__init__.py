"""What to ask of a pose and what to do: the folder that a lab adds files to."""

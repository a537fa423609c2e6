"""What acts on the animal: one kind of device a file."""

"""Training data: labels, projects, clips, augmentation, batches."""

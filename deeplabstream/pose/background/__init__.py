"""Detection of animals by background subtraction, without a network."""

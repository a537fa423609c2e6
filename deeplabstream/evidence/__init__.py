"""Evidence: a run with everything that its decisions depend on, and its verification."""

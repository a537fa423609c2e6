"""Identity of several animals: motion, appearance, assignment."""

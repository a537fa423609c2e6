"""Command-line programs. No module imports them."""

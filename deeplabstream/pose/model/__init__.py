"""Model folders: description and opening."""

"""Model folders: description, opening, confidence calibration."""

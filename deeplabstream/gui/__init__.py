"""The desktop application; PyQt5 is imported here only."""

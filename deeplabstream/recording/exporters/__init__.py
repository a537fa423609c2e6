"""Exporters of runs and poses to other programs' formats."""

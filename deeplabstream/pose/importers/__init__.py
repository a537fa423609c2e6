"""Importers of networks trained by other programs."""

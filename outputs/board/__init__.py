"""Boards that run the DeepLabStream firmware."""

"""Rack: several rigs on one computer, each a session in processes of its own."""

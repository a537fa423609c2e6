"""Queues of sessions, shared by several processes and machines."""

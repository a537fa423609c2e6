"""Alarms of a rack: sent by apprise from a process of its own."""

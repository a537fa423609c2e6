"""Checks: pre-flight, system monitor, camera watchdog, board watchdog, output test."""

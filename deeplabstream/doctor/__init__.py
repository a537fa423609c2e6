"""Diagnosis of the computer: what keeps a rig from running well, and the command that helps.

It needs nothing but the standard library, so that it also runs where packages are missing.
"""

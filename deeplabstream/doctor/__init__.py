"""Diagnosis of the computer: causes of problems of a rig, and the commands that help.

It needs nothing but the standard library, so that it also runs where packages are missing.
"""

"""Audit of triggers: how often they were right, judged by raters on a random sample."""

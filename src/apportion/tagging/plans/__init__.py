"""Readers of what is about to be made: one format per file, each a `PLAN`."""

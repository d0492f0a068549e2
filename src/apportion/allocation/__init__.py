"""Charges and shares become allocations, exactly: the pieces of each charge add up to it."""

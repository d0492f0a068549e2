"""Rules to start from, for people who come from another system."""

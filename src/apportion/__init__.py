"""Apportion: ML cost attribution, exact to the last digit and explained row by row."""

__version__ = "0.1.0"

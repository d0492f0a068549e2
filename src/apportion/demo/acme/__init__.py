"""The example company acme: its people, its machines, its bills, and the truth about who caused what.

Everything is computed from whole numbers and a seed, so the same seed writes the same bytes on every machine.
"""

from apportion.demo.acme.write import RESTATED, write_company

__all__ = ["RESTATED", "write_company"]

"""Ready-made projects to learn and test with: the invented company acme, and the FOCUS Foundation's sample bill."""

from apportion.demo.acme import RESTATED, write_company
from apportion.demo.sample_bill import write_sample

__all__ = ["RESTATED", "write_company", "write_sample"]

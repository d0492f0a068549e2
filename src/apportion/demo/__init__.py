"""Ready-made projects to learn and test with: the invented company acme, and the FOCUS Foundation's sample bill."""

from apportion.demo.acme import RESTATED, write_company
from apportion.demo.acme.configuration import text as company_configuration
from apportion.demo.sample_bill import sample_configuration, write_sample

__all__ = ["RESTATED", "company_configuration", "sample_configuration", "write_company", "write_sample"]

"""What production, staging, research … cost."""

from apportion.reports.reading.cost_by import by_dimension

REPORT = by_dimension("environment")

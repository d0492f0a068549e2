"""What each business unit cost."""

from apportion.reports.reading.cost_by import by_dimension

REPORT = by_dimension("business_unit")

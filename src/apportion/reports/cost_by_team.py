"""What each team cost, and which business unit it belongs to."""

from apportion.reports.reading.cost_by import by_dimension

REPORT = by_dimension("team", beside=("business_unit",))

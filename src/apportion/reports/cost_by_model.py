"""What each model cost, and which teams it belongs to."""

from apportion.reports.reading.cost_by import by_dimension

REPORT = by_dimension("model", beside=("team",))

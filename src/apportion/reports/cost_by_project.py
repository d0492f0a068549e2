"""What each project cost, and which teams work on it."""

from apportion.reports.reading.cost_by import by_dimension

REPORT = by_dimension("project", beside=("team",))

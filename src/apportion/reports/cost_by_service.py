"""What each service of the providers cost, and how well it is known which team caused it."""

from apportion.reports.reading.cost_by import by_column
from apportion.reports.reading.monthly import Question

REPORT = by_column("service", Question(group="ServiceName", evidence="x_TeamEvidence"))

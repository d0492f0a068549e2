"""The weights that the rule states."""

from apportion.allocation.weighing import Method

METHOD = Method("fixed", "The weights that the rule states", lambda receivers: [each.weight for each in receivers])

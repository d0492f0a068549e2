"""Every receiver the same."""

from apportion.allocation.weighing import Method

METHOD = Method("even", "Every receiver the same", lambda receivers: [1] * len(receivers))

"""Every receiver the same."""

from apportion.allocation.weighing import Basis, Method

METHOD = Method("even", "Every receiver the same", Basis.NOTHING)

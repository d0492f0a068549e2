"""The weights that the rule states."""

from apportion.allocation.weighing import Basis, Method

METHOD = Method("fixed", "The weights that the rule states", Basis.STATED)

"""The weights that a table states, by month or day."""

from apportion.allocation.weighing import Basis, Method

METHOD = Method("table", "The weights that a table states", Basis.STATED)

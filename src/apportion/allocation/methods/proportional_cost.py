"""By what each receiver costs itself."""

from apportion.allocation.weighing import Basis, Method

METHOD = Method("proportional_cost", "By the receivers' own cost", Basis.COST)

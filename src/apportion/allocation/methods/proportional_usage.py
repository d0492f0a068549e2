"""By how much of a measure each receiver used."""

from apportion.allocation.weighing import Basis, Method

METHOD = Method("proportional_usage", "By the receivers' use", Basis.USAGE)

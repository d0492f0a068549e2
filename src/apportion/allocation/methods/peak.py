"""By the hour in which each receiver used most: what has to stand ready is what the largest hour asks for."""

from apportion.allocation.weighing import Basis, Method

METHOD = Method("peak", "By each receiver's largest hour", Basis.PEAK)

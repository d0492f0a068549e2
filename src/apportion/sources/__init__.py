"""Socket 1: one billing export or one meter per file, each a `SOURCE`: which files are current, what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apportion.core.plugins import Socket

if TYPE_CHECKING:
    from apportion.sources.intake.contract import BillSource
    from apportion.sources.readings.contract import MeterSource

SOCKET = Socket("apportion.sources", "SOURCE", "source kind")


def common_options(source: BillSource | MeterSource) -> frozenset[str]:
    """The options that every source of bills, or every meter, has."""
    from apportion.sources.intake import contract as bills
    from apportion.sources.readings import contract as meters

    return meters.COMMON_OPTIONS if isinstance(source, meters.MeterSource) else bills.COMMON_OPTIONS

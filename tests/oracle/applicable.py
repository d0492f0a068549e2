"""Which kinds of cases are not ours to run, each with the reason; what a source says wrong; what is not ours to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NOT_APPLICABLE: Mapping[str, str] = {
    "detector": "detectors of waste come with issue #6",
}
"""Kind or group -> why its cases are not run."""

WRONG_AT_THE_SOURCE: Mapping[str, str] = {
    "azure-frozen-percentages": "Azure keeps the percentages of the month in which the rule was made",
}
"""Case -> what the source says wrong, where the case holds no right figure beside it: ours must differ."""

NOT_SAID: Mapping[str, str] = {
    "method": "the name of one of OpenCost's methods",
    "cache_savings_fraction": "an estimate of what was not computed",
}
"""Keys of expectations that are no amounts of a bill: passed over, and printed so."""

"""Who a cost can belong to, and how well that is known."""

from __future__ import annotations

from enum import StrEnum

DIMENSIONS = ("team", "project", "model", "environment")
"""The dimensions tags and rules decide; the business unit follows from the team."""

COLUMNS = {
    "team": "x_Team",
    "project": "x_Project",
    "model": "x_Model",
    "environment": "x_Environment",
    "business_unit": "x_BusinessUnit",
}
"""Dimension -> its column in `shares`, `allocations` and every export."""

UNALLOCATED = "unallocated"
"""The target of what nobody is known to have caused: an ordinary target, never dropped."""
IDLE = "idle"
"""The target of capacity that was paid for and used by nobody."""
RESERVED = frozenset({UNALLOCATED, IDLE})


class Evidence(StrEnum):
    """The ladder of evidence; the first tier that answers wins and stays on the piece (FinOps "allocation" levels)."""

    DIRECT = "T1"
    METERED = "T2"
    INFERRED = "T3"
    POLICY = "T4"
    UNALLOCATED = "T5"


EVIDENCE_NAMES = {
    Evidence.DIRECT: "direct",
    Evidence.METERED: "metered",
    Evidence.INFERRED: "inferred",
    Evidence.POLICY: "policy",
    Evidence.UNALLOCATED: "unallocated",
}

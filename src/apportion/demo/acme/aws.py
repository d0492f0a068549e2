"""acme's AWS bill: a CUR 2.0 export with one row per resource, price and day, and the account's own charges."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

from apportion.core.period import Month
from apportion.demo.acme.aws_layout import SCHEMA, data_file, write_parts
from apportion.demo.acme.aws_plan import ACCOUNT_NAMES, NODES, PLANNED_NODES, RESOURCES, SHARED
from apportion.demo.acme.aws_prices import PRICES, AwsSku
from apportion.demo.acme.bill import Bill, as_double, of_double
from apportion.demo.acme.cluster import pods_of
from apportion.demo.acme.habits import tags_of
from apportion.demo.acme.truth import Caused, Delivered, Parts, Truth, alone
from apportion.demo.acme.usage import Plan, Resource, days_of, digest, uses

Row = dict[str, object]

_CENTS = Decimal("0.0000000001")
"""AWS prints ten digits after the point; such an amount is the shortest form of its double."""


@dataclass(frozen=True, slots=True)
class Use:
    """A resource used on one day under a name, in the sku's unit."""

    resource: Resource
    sku: AwsSku
    day: int
    quantity: Decimal
    name: str

    @property
    def resource_id(self) -> str:
        """The id in the bill: an ARN, or what AWS shows instead of one."""
        return self.sku.arn.format(account=self.resource.place, name=self.name, hex=digest(self.name, "aws"))


def write_aws(folder: Path, plan: Plan, month: Month, truth: Truth, *, delivery: int = 1, place: str = "bills/aws") -> Path:
    """Write one month of the export under `folder`/`place` in two files and a manifest; gives the export's folder.

    The second delivery of a month is a restatement; `restate` says how it differs.
    """
    from apportion.demo.acme.aws_account import account_rows  # noqa: PLC0415 - it builds on this module's rows

    parts = (Bill(SCHEMA.names), Bill(SCHEMA.names))
    usage = list(usage_rows(plan, month, delivery=delivery))
    for number, (row, caused) in enumerate(usage):
        parts[number * len(parts) // len(usage)].add(row, caused)
    parts[0].add(*usage[-1])  # a row that is there twice, once per file: AWS promises unique ids within a file only
    for row, caused in account_rows(plan, month, [caused for bill in parts for caused in bill.caused]):
        parts[1].add(row, caused)
    write_parts(folder / place, month, parts)
    for number, bill in enumerate(parts, start=1):
        file = f"{place}/{data_file(month, number)}"
        bill.tell(truth, Delivered("aws", delivery, month, file), first_row=1)
    return folder / place

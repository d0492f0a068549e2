"""A bill while it is written: the provider's columns, and the truth about each row beside them."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from apportion.demo.acme.truth import Caused, Delivered, Truth


@dataclass(slots=True)
class Bill:
    """The rows of one file, column by column. A column that a row does not name is null there."""

    columns: Sequence[str]
    cells: dict[str, list[object]] = field(init=False)
    caused: list[Caused] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cells = {name: [] for name in self.columns}

    def __len__(self) -> int:
        return len(self.caused)

    def add(self, row: Mapping[str, object], caused: Caused) -> None:
        """Append one row; raises KeyError for a column the provider does not have."""
        for name in row.keys() - self.cells.keys():
            raise KeyError(name)
        for name, column in self.cells.items():
            column.append(row.get(name))
        self.caused.append(caused)

    def tell(self, truth: Truth, delivered: Delivered, *, first_row: int) -> None:
        """Hand the truth about all rows over; `first_row` is the number of the first record in the file."""
        for row, caused in enumerate(self.caused, start=first_row):
            truth.add(caused, delivery=delivered, row=row)


def as_double(amount: Decimal) -> float:
    """The double a provider's own format holds for an amount."""
    return float(amount)


def of_double(value: float) -> Decimal:
    """The amount a double stands for: its shortest decimal form, as the product reads it.

    >>> of_double(0.1 + 0.2)
    Decimal('0.30000000000000004')
    """
    return Decimal(repr(value))

"""What a source of bills has to say: which files are current, and what their columns mean. It never reads money itself.

The intake reads every column of a delivered file as text: CSV as it stands, Parquet scalars as their shortest exact
text, times as `YYYY-MM-DD HH:MM:SS`, nested values (MAP, STRUCT, LIST) as JSON. A mapping then gives, for each FOCUS
column, a DuckDB SQL expression over those text columns. The intake turns the resulting text into numbers, times, enums
and tags, and records what it had to put right, so a mapping only renames, chooses and repairs what its provider does
differently. Where one record stands for several charges, a `Spread` says which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from apportion.core.problems import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from apportion.core.config import SourceConfig
    from apportion.sources.intake.place import Place


@dataclass(frozen=True, slots=True)
class Repair:
    """A deviation that a mapping puts right: for each row where `when` holds, `code` is recorded on the charge.

    `when` is a SQL boolean over the raw columns. The mapping's expressions do the repairing. With the severity
    `REJECTED` nothing is put right: the row is kept out of the money.
    """

    code: str
    column: str
    when: str
    what: str
    fix: str
    severity: Severity = Severity.REPAIRED


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """FOCUS column (or `x_ResourceGroup`) -> SQL expression giving text. A column that is not named is null.

    `form` names what was recognised ("FOCUS 1.0", "CUR 2.0"). `used` are the raw columns whose content is carried by
    the expressions; all other raw columns are kept verbatim beside the charge. `row_filter`, if given, is a SQL
    boolean: rows where it is false are no charges (manifest footers, split rows that repeat another row's money) and
    are counted in a problem with the code `filtered_as`, never dropped unseen.
    """

    form: str
    expressions: Mapping[str, str]
    used: frozenset[str]
    repairs: tuple[Repair, ...] = ()
    row_filter: str | None = None
    filtered_as: str | None = None


Record = Mapping[str, str | None]
"""A record as delivered: raw column -> text, None where the field is empty or holds a word for null."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How one record becomes several charges: for files that people write, where a line stands for a price over time.

    `columns` are the text columns that are made beside the delivered ones; a mapping's expressions see both.
    `charges` takes all records of a file in order and gives for each of them, in that order, the values of `columns`
    for each of its charges. A record that is at fault gives one charge, which a `Repair` rejects: none is lost. All
    charges of a record keep its row number.
    """

    columns: tuple[str, ...]
    charges: Callable[[Sequence[Record], SourceConfig], Iterator[Sequence[tuple[str | None, ...]]]]


@dataclass(frozen=True, slots=True)
class Delivery:
    """The current files of a source, in a stable order, and those left out with the reason in words."""

    files: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...] = ()


class Finds(Protocol):
    """What can list the current files of a place: any source, of bills or of samples."""

    @property
    def find(self) -> Callable[[Place, SourceConfig], Delivery]:
        """The current files of one place."""
        ...


COMMON_OPTIONS = frozenset({"date_order", "encoding"})
"""Options that every kind of source has."""


@dataclass(frozen=True, slots=True)
class BillSource:
    """A source of bills.

    `recognises` says whether a file with these raw column names is of this kind (a file that came to another kind is
    told where it belongs).
    `find` lists the current files of one place (a folder, file, glob or object-store URL).
    `mapping` gives the mapping for the raw columns of one file; raises `UnknownShape` where money cannot be read.
    `control` is the raw column whose plain sum must equal BilledCost (checked by `verify`), None where there is none.
    """

    name: str
    title: str
    recognises: Callable[[frozenset[str]], bool]
    find: Callable[[Place, SourceConfig], Delivery]
    mapping: Callable[[tuple[str, ...], SourceConfig], ColumnMapping]
    control: Callable[[tuple[str, ...], SourceConfig], str | None] = field(default=lambda _columns, _config: None)
    cancels: Callable[[tuple[str, ...]], str | None] = field(default=lambda _columns: None)
    """Given the columns kept beside the charges: SQL for the amount that BilledCost leaves out of each row.

    In each snapshot these must add up to 0, or the bill asks for more or less than BilledCost says. None: nothing is.
    """
    options: frozenset[str] = frozenset()
    """Names that `[sources.options]` may hold for this kind, beside `COMMON_OPTIONS`."""
    spread: Spread | None = None
    """How a record becomes several charges; None: each record is one charge."""
    csv_null: tuple[str, ...] = ("",)
    """CSV fields that mean null when unquoted or quoted alike."""
    date_order: str = ""
    """How dates with slashes are read where the options say nothing: `mdy`, `dmy`, or empty for not at all."""
    version: str = "1"
    """Raised when the mapping changes: the same delivery then makes a new snapshot."""

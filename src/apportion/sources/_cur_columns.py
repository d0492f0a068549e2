"""The columns of one Cost and Usage Report, by their names in the CSV report, whatever form the file has.

The same column is `lineItem/UnblendedCost` in a CSV report and `line_item_unblended_cost` in CUR 2.0 and in reports
for Athena. Products are columns of their own, or keys of the MAP column `product` (CUR 2.0); tags are one column per
key (`resourceTags/user:team`, `resource_tags_user_team`), or the MAP columns `resource_tags` or `tags` (CUR 2.0).

Source: AWS, "Cost and Usage Report dictionary"; "Data Exports table dictionary: Cost and Usage Report 2.0".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apportion.core.tables import quoted
from apportion.sources._json_text import text_at
from apportion.sources._raw_columns import RawColumns
from apportion.sources._tag_columns import one_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TAG = re.compile(r"resourceTags/(?:user:)?(?P<key>.+)|resource_tags_(?:user_)?(?P<flat>.+)")

# a key of a JSON object starts after `{` or `,`; a quote inside a string is escaped, so no value looks like one
_STRIPPED = r"regexp_replace({json}, '([{{,]\s*\"){prefix}', '\1', 'g')"


def spelled(name: str) -> str:
    """The name of a CSV column as CUR 2.0 and Athena write it.

    >>> spelled("lineItem/UnblendedCost"), spelled("savingsPlan/SavingsPlanARN"), spelled("product/regionCode")
    ('line_item_unblended_cost', 'savings_plan_savings_plan_a_r_n', 'product_region_code')
    """
    return "_".join(re.sub(r"(?<!^)([A-Z])", r"_\1", part).lower() for part in name.split("/"))


@dataclass(frozen=True, slots=True)
class CurColumns:
    """The columns as delivered, in their order; all questions use the names of the CSV report."""

    columns: tuple[str, ...]
    raw: RawColumns

    @classmethod
    def of(cls, columns: Iterable[str]) -> CurColumns:
        """The columns of a file."""
        given = tuple(columns)
        return cls(given, RawColumns.of(given))

    @property
    def form(self) -> str:
        """Which report it is."""
        if any("/" in column for column in self.columns):
            return "CUR"
        return "CUR 2.0" if self.raw.name("resource_tags", "tags", "product") else "CUR for Athena"

    def name(self, column: str) -> str | None:
        """The delivered name of the column, None where the file has none."""
        return self.raw.name(column, spelled(column))

    def text(self, *columns: str) -> str:
        """SQL: the first non-empty text among these columns, null where the file has none of them."""
        return self.raw.text(*(word for column in columns for word in (column, spelled(column))))

    def product(self, *columns: str) -> str:
        """SQL: the first non-empty text among these product columns or keys of the MAP column `product`."""
        found = [self.text(f"product/{column}") for column in columns if self.name(f"product/{column}")]
        if product := self.raw.name("product"):
            found += [text_at(product, f'$."{spelled(column)}"') for column in columns]
        return f"coalesce({', '.join(found)})" if found else "CAST(NULL AS VARCHAR)"

    def tags(self) -> str:
        """SQL: the tags as one JSON object in the order of delivery: a user's keys bare, `aws:` keys as they are."""
        whole = (
            self._mapped("tags", "resourceTags/(?:user:)?"),
            self._mapped("resource_tags", "user[:_]"),
            one_object(self._tag_columns()),
        )
        found = [sql for sql in whole if sql]
        return f"coalesce({', '.join(found)})" if found else "CAST(NULL AS VARCHAR)"

    def used(self, names: Iterable[str]) -> frozenset[str]:
        """The delivered names of these columns and of those that hold tags."""
        maps = {name for word in ("tags", "resource_tags") if (name := self.raw.name(word))}
        carried = {found for name in names if (found := self.name(name))}
        return frozenset(carried | maps | {column for column, _ in self._tag_columns()})

    def _mapped(self, column: str, prefix: str) -> str | None:
        name = self.raw.name(column)
        return _STRIPPED.format(json=f"nullif(nullif({quoted(name)}, ''), '{{}}')", prefix=prefix) if name else None

    def _tag_columns(self) -> Iterator[tuple[str, str]]:
        # not by lower-case name: `user:Team` and `user:team` are two tags
        for column in self.columns:
            found = _TAG.fullmatch(column)
            if found:
                yield column, found["key"] or found["flat"]

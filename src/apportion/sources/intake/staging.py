"""One delivered file staged: typed rows in file order in a Parquet file, and the records that could not be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from apportion.errors import ConfigError, UnknownShape
from apportion.sources import SOCKET
from apportion.sources.intake import csv_copy, json_lines, spreading, times
from apportion.sources.intake.contract import BillSource
from apportion.sources.intake.layout import Form, Layout, layout
from apportion.sources.intake.reading import copied
from apportion.sources.intake.sql_text import filled, literal
from apportion.sources.intake.typed import Plan, plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from apportion.core.config import SourceConfig
    from apportion.engine.duck import DuckDb
    from apportion.sources.intake.contract import ColumnMapping
    from apportion.sources.intake.files import DeliveredFile


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A staged file: `no` from 1 in the import, `rows` its typed rows, `path` where they lie, `form` what it is."""

    no: int
    file: DeliveredFile
    path: Path
    plan: Plan
    form: str
    rows: int

    @property
    def relation(self) -> str:
        """SQL: the staged rows."""
        return f"read_parquet({literal(str(self.path))})"


TORN_RECORDS = """
CREATE TEMP TABLE IF NOT EXISTS torn_records (
    x_StageNo INTEGER, x_RowNo BIGINT, x_Code VARCHAR, x_Column VARCHAR, x_Raw VARCHAR)
"""
"""Records of all staged files that have no columns: too many or too few fields, bad quotes, bad bytes."""

_RENUMBERED = """
SELECT staged.* EXCLUDE (file_row_number) REPLACE (staged.x_RowNo + coalesce(gap.skipped, 0) AS x_RowNo)
FROM read_parquet($staged, file_row_number = true) AS staged
ASOF LEFT JOIN row_gaps AS gap ON staged.x_RowNo > gap.after
ORDER BY file_row_number
"""
"""Rows counted again with the records between them that gave no row."""

_COUNT = "SELECT count(*) FROM ${staged}"


def stage(
    db: DuckDb, source: BillSource, config: SourceConfig, *, file: DeliveredFile, no: int, into: Path
) -> StagedFile:
    """The file staged in the folder `into`; raises UnreadableFile or UnknownShape where it cannot be a bill."""
    db.run(TORN_RECORDS)
    found = layout(
        db, file.local, file=file.path, csv_null=source.csv_null, encoding=str(config.options.get("encoding", "utf-8"))
    )
    bound: str | list[str] = str(file.local)
    if found.form is Form.JSON_LINES:
        unfolded = json_lines.unfold(file.local, _fresh(into / f"lines-{no}"), file=file.path, packed=found.packed)
        found, bound = unfolded.layout, [str(part) for part in unfolded.parts]
        _keep_lines(db, no, unfolded.torn)
    mapping = _mapping(source, config, found, file=file.path)
    made = source.spread.columns if source.spread else ()
    planned = plan(found, mapping, file=file.path, order=_order(source, config), made=made)
    path = into / f"staged-{no}.parquet"
    gaps: list[int] = []
    raw, spread, relation = into / f"raw-{no}.parquet", into / f"spread-{no}.parquet", found.relation
    if found.csv:
        gaps = csv_copy.copy(db, found, file=file, no=no, path=raw)
        bound = str(raw)
    if source.spread:
        spreading.spread(db, source.spread, config, found=found, bound=bound, path=spread)
        relation, bound = spreading.SPREAD, str(spread)
    copied(db, planned.sql(relation), {"path": bound}, path=path, file=file)
    raw.unlink(missing_ok=True)
    spread.unlink(missing_ok=True)
    path = _renumbered(db, path, gaps)
    rows = db.rows(filled(_COUNT, staged=f"read_parquet({literal(str(path))})"))[0][0]
    return StagedFile(no, file, path, planned, planned.form, rows)


def _mapping(source: BillSource, config: SourceConfig, found: Layout, *, file: str) -> ColumnMapping:
    try:
        return source.mapping(found.columns, config)
    except UnknownShape as error:  # a mapping sees columns only, so the file is named here
        what = error.what.removeprefix(f"{error.file}: ")
        raise UnknownShape(file=file, what=what, fix=_other_kind(source, found) or error.fix) from error


def _other_kind(source: BillSource, found: Layout) -> str:
    columns = frozenset(found.columns)
    others = ((name, SOCKET.load(name)) for name in SOCKET.names() if name != source.name)
    kinds = (name for name, other in others if isinstance(other, BillSource) and other.recognises(columns))
    return next((f'It looks like kind = "{name}": set that for the source.' for name in kinds), "")


def _order(source: BillSource, config: SourceConfig) -> str:
    order = str(config.options.get("date_order", source.date_order))
    if order and order not in times.ORDERS:
        raise ConfigError(
            file="apportion.toml",
            line=None,
            key=f"sources.{config.id}.options.date_order",
            what=f"'{order}' is no order of day, month and year.",
            fix=f"Write one of: {', '.join(times.ORDERS)}.",
        )
    return order


def _fresh(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _keep_lines(db: DuckDb, no: int, torn: Sequence[json_lines.TornLine]) -> None:
    table = pa.table({"number": [line.number for line in torn], "text": [line.text for line in torn]})
    if torn:
        db.register("torn_lines", table)
        db.run("INSERT INTO torn_records SELECT $no, number, 'bad_json', '', text FROM torn_lines", {"no": no})


def _renumbered(db: DuckDb, path: Path, gaps: list[int]) -> Path:
    """The rows with their true record numbers: `gaps` are the sorted numbers of the records that gave no row."""
    if not gaps:
        return path
    skipped = {gap - place: place for place, gap in enumerate(gaps, 1)}
    db.register("row_gaps", pa.table({"after": list(skipped), "skipped": list(skipped.values())}))
    target = path.with_name(f"numbered-{path.name}")
    db.copy(_RENUMBERED, target, {"staged": str(path)})
    path.unlink()
    return target

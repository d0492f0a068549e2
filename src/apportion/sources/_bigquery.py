"""A Google Cloud usage cost table in BigQuery, fetched month by month into local JSON lines.

Options of the source: `table` ("project.dataset.gcp_billing_export_resource_v1_…"); `invoice_months` (["2026-10"]),
by default this month and the one before, which still gets late rows. Cost and credits leave BigQuery as text. The lines
are ordered by content, so a month that did not change gives the same file. BigQuery bills the scan of the table.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from apportion.core.period import Month
from apportion.errors import ConfigError, MissingExtra
from apportion.sources.intake.sql_text import filled

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from apportion.core.config import SourceConfig

LINES = """
SELECT TO_JSON_STRING(charge) AS line
FROM (
  SELECT * REPLACE (
    CAST(cost AS STRING) AS cost,
    ARRAY(SELECT AS STRUCT credit.* REPLACE (CAST(credit.amount AS STRING) AS amount) FROM UNNEST(credits) AS credit)
      AS credits)
  FROM `${table}`
  WHERE invoice.month = @month
) AS charge
ORDER BY line
"""
"""BigQuery SQL: one JSON object per charge of an invoice month."""

_TABLE = re.compile(r"[a-z][a-z0-9.:-]{4,62}\.\w{1,1024}\.[\w-]{1,1024}")


def export(folder: Path, config: SourceConfig, *, today: datetime | None = None) -> tuple[Path, ...]:
    """The files written: one per invoice month that has charges, replacing what was there; no charges, no file.

    Raises `ConfigError` where `table` or `invoice_months` cannot be read, `MissingExtra` without google-cloud-bigquery.
    """
    table = str(config.options.get("table", ""))
    if not _TABLE.fullmatch(table):
        raise _fault(config, "table", f"'{table}' is not the name of a BigQuery table", "project.dataset.table")
    months = _months(config, today or datetime.now(UTC))
    folder.mkdir(parents=True, exist_ok=True)
    written = (_write(folder, month, _lines(table, month)) for month in months)
    return tuple(path for path in written if path.exists())


def _months(config: SourceConfig, today: datetime) -> tuple[Month, ...]:
    this = Month(today.year, today.month)
    given = config.options.get("invoice_months", [str(this.plus(-1)), str(this)])
    if not isinstance(given, list) or not given or not all(re.fullmatch(r"\d{4}-\d\d", str(each)) for each in given):
        raise _fault(config, "invoice_months", f"'{given}' is not a list of months", '["2026-10"]')
    return tuple(Month.parse(str(each)) for each in given)


def _fault(config: SourceConfig, option: str, what: str, form: str) -> ConfigError:
    return ConfigError(
        file="apportion.toml",
        line=None,
        key=f"sources.{config.id}.options.{option}",
        what=f"{what}.",
        fix=f"Write it as {form}.",
    )


def _lines(table: str, month: Month) -> Iterator[str]:
    bigquery = _library()
    parameter = bigquery.ScalarQueryParameter("month", "STRING", f"{month.year:04d}{month.month:02d}")
    job_config = bigquery.QueryJobConfig(query_parameters=[parameter])
    client = bigquery.Client()
    for row in client.query(filled(LINES, table=table), job_config=job_config).result():
        yield str(row["line"])


def _library() -> Any:  # noqa: ANN401 - an optional package without types
    try:
        from google.cloud import bigquery
    except ImportError as error:
        raise MissingExtra("Reading BigQuery", "bigquery") from error
    return bigquery


def _write(folder: Path, month: Month, lines: Iterator[str]) -> Path:
    path = folder / f"gcp_billing_{month.year:04d}{month.month:02d}.jsonl"
    unfinished = path.with_name(f".{path.name}.part")
    with unfinished.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{line}\n" for line in lines)
    unfinished.replace(path)
    if not path.stat().st_size:
        path.unlink()
    return path

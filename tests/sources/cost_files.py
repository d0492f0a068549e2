"""Cost files for tests: lines below one header, taken in whole."""

from __future__ import annotations

import csv
from dataclasses import replace

from tests.sources.ingested import ingested

from apportion.core.config import SourceConfig

CONFIG = SourceConfig("own", "cost_file", ("costs.csv",))
HEADER = "id,amount,currency,per,start,end,paid,billed,quantity,unit,service_category"


def taken(tmp_path, text, *columns, **options):
    """The result of an import of the lines, and the named columns of the charges."""
    (tmp_path / "costs.csv").write_text(text, "utf-8")
    return ingested(replace(CONFIG, options=options), tmp_path, *(columns or ("SkuId",)))


def lines(*given_lines):
    """Lines below the header, each filled up to its width."""
    width = len(HEADER.split(","))
    short = (width - len(next(csv.reader([line]), [""])) for line in given_lines)
    return "\n".join((HEADER, *(line + "," * less for line, less in zip(given_lines, short, strict=True)))) + "\n"


def said(result):
    return [(problem.code, problem.column, problem.rows) for problem in result.problems]

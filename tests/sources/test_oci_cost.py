from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from tests.sources.ingested import ingested
from tests.sources.mapped import mapped

from apportion.core.config import SourceConfig
from apportion.errors import UnknownShape
from apportion.sources.intake.place import Place
from apportion.sources.oci_cost import SOURCE

SAMPLE = Path(__file__).parents[1] / "data" / "focus" / "oci_cost_sample_focus_converters.csv"
CONFIG = SourceConfig("oci", "oci_cost", (str(SAMPLE),))
COLUMNS = (
    "cost/myCost",
    "cost/currencyCode",
    "lineItem/intervalUsageStart",
    "lineItem/tenantId",
    "tags/A.b",
    "tags/C.d",
)


def test_the_sample_report_adds_up_to_the_last_digit(tmp_path):
    result, rows = ingested(CONFIG, tmp_path, "Tags", "BillingPeriodStart")
    (snapshot,) = result.published
    assert (snapshot.rows, snapshot.rejected) == (506, 0)
    assert snapshot.totals["USD"]["BilledCost"] == Decimal("2.523589325400648027")
    assert {str(start) for _, start in rows} == {"2023-11-01 00:00:00"}
    assert sum(bool(tags) for tags, _ in rows) == 272


def test_tag_columns_become_one_map_without_the_empty_ones():
    row = dict.fromkeys(COLUMNS, "x") | {"tags/A.b": "v", "tags/C.d": ""}
    (found,) = mapped(SOURCE.mapping(COLUMNS, CONFIG), [row])
    assert found["Tags"] == '{"A.b":"v"}'


def test_the_month_is_the_one_the_interval_starts_in():
    row = dict.fromkeys(COLUMNS, "x") | {"lineItem/intervalUsageStart": "2026-01-31T23:00Z"}
    (found,) = mapped(SOURCE.mapping(COLUMNS, CONFIG), [row])
    assert (found["BillingPeriodStart"], found["BillingPeriodEnd"]) == ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z")


def test_a_correction_says_so():
    columns = (*COLUMNS, "lineItem/isCorrection")
    (found,) = mapped(
        SOURCE.mapping(columns, CONFIG), [dict.fromkeys(columns, "x") | {"lineItem/isCorrection": "true"}]
    )
    assert found["ChargeClass"] == "Correction"


def test_a_file_that_is_no_report_is_refused_by_name():
    with pytest.raises(UnknownShape, match="is no OCI cost report: cost/myCost,"):
        SOURCE.mapping(("a",), CONFIG)


def test_the_control_column_is_the_cost():
    assert SOURCE.control(COLUMNS, CONFIG) == "cost/myCost"


def test_the_golden_row_of_the_sample(tmp_path):
    columns = ("BilledCost", "PricingQuantity", "ContractedUnitPrice", "PricingUnit", "ServiceName", "ServiceCategory",
               "ResourceType", "x_ResourceGroup", "RegionId", "SkuId", "ChargeClass")  # fmt: skip
    _, rows = ingested(CONFIG, tmp_path, *columns)
    assert rows[0] == (
        Decimal("0.012264277499950943"),
        Decimal("0.083333333333"),
        Decimal("0.14717133"),
        "Hours",
        "DATABASE",
        "Databases",
        "autonomousdatabase",
        "platformpm2022",
        "us-sanjose-1",
        "B92911",
        None,
    )


def test_usage_and_focus_reports_of_the_same_bucket_are_left_out(tmp_path):
    names = ("reports/cost-csv/0001.csv.gz", "reports/usage-csv/0001.csv.gz", "FOCUS Reports/2026/10/05/1.csv.gz")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    delivery = SOURCE.find(Place.of(str(tmp_path), tmp_path), CONFIG)
    assert delivery.files == (f"{tmp_path}/reports/cost-csv/0001.csv.gz",)
    assert delivery.left_out == (
        (f"{tmp_path}/FOCUS Reports/2026/10/05/1.csv.gz", "it is a FOCUS report of the same costs"),
        (f"{tmp_path}/reports/usage-csv/0001.csv.gz", "it is a usage report, which has no costs"),
    )

"""Fetching a BigQuery table: against a fake client of the shape of google-cloud-bigquery 3, because none runs here."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType

import pytest

from apportion.core.config import SourceConfig
from apportion.errors import BadPeriod, ConfigError, MissingExtra
from apportion.sources import _bigquery
from apportion.sources.gcp_billing import SOURCE
from apportion.sources.intake.place import Place

TABLE = "acme-billing.costs.gcp_billing_export_resource_v1_01A2B3_C4D5E6_F70819"
NOVEMBER = datetime(2026, 11, 3, tzinfo=UTC)


@dataclass
class FakeParameter:
    name: str
    type_: str
    value: str


class FakeJobConfig:
    def __init__(self, query_parameters):
        self.query_parameters = query_parameters


class FakeJob:
    def __init__(self, rows):
        self.rows = rows

    def result(self):
        return iter(self.rows)


class FakeClient:
    """Answers `query` with rows as the real client gives them: mappings by column name."""

    asked: list[tuple[str, str]] = []  # noqa: RUF012 - the module makes the client, so the test looks here
    answers: dict[str, list[str]] = {}  # noqa: RUF012

    def query(self, sql, job_config):
        (parameter,) = job_config.query_parameters
        assert (parameter.name, parameter.type_) == ("month", "STRING")
        self.asked.append((sql, parameter.value))
        return FakeJob([{"line": line} for line in self.answers.get(parameter.value, [])])


@pytest.fixture
def fake_bigquery(monkeypatch):
    module = ModuleType("google.cloud.bigquery")
    module.Client, module.QueryJobConfig, module.ScalarQueryParameter = FakeClient, FakeJobConfig, FakeParameter
    parents = {name: ModuleType(name) for name in ("google", "google.cloud")}
    parents["google.cloud"].bigquery = module
    for name, each in {**parents, "google.cloud.bigquery": module}.items():
        monkeypatch.setitem(sys.modules, name, each)
    monkeypatch.setattr(FakeClient, "asked", [])
    monkeypatch.setattr(
        FakeClient, "answers", {"202611": ['{"cost":"1.5"}', '{"cost":"2"}'], "202610": ['{"cost":"7"}']}
    )
    return FakeClient


def source(**options):
    return SourceConfig("gcp", "gcp_billing", ("bills",), options={"table": TABLE, **options})


def test_this_month_and_the_one_before_are_fetched_one_file_each(fake_bigquery, tmp_path):
    written = _bigquery.export(tmp_path, source(), today=NOVEMBER)
    assert [path.name for path in written] == ["gcp_billing_202610.jsonl", "gcp_billing_202611.jsonl"]
    assert [path.read_text() for path in written] == ['{"cost":"7"}\n', '{"cost":"1.5"}\n{"cost":"2"}\n']
    assert sorted(path.name for path in tmp_path.iterdir()) == [path.name for path in written]


def test_a_month_without_charges_gives_no_file(fake_bigquery, tmp_path):
    (tmp_path / "gcp_billing_202609.jsonl").write_text('{"cost":"1"}\n')
    assert _bigquery.export(tmp_path, source(invoice_months=["2026-09"])) == ()
    assert list(tmp_path.iterdir()) == []


def test_the_query_takes_money_as_text_and_the_month_as_a_parameter(fake_bigquery, tmp_path):
    _bigquery.export(tmp_path, source(invoice_months=["2026-01"]))
    ((sql, month),) = fake_bigquery.asked
    assert month == "202601"
    assert f"FROM `{TABLE}`" in sql
    assert "CAST(cost AS STRING)" in sql
    assert "CAST(credit.amount AS STRING)" in sql
    assert "@month" in sql
    assert "ORDER BY line" in sql


def test_a_month_fetched_again_replaces_its_file(fake_bigquery, tmp_path):
    _bigquery.export(tmp_path, source(invoice_months=["2026-11"]))
    fake_bigquery.answers["202611"] = ['{"cost":"3"}']
    (path,) = _bigquery.export(tmp_path, source(invoice_months=["2026-11"]))
    assert path.read_text() == '{"cost":"3"}\n'


def test_a_fetch_that_breaks_off_leaves_the_last_file(fake_bigquery, tmp_path, monkeypatch):
    (path,) = _bigquery.export(tmp_path, source(invoice_months=["2026-11"]))

    def broken(_job):
        yield {"line": '{"cost":"9"}'}
        raise ConnectionError("gone")

    monkeypatch.setattr(FakeJob, "result", broken)
    with pytest.raises(ConnectionError):
        _bigquery.export(tmp_path, source(invoice_months=["2026-11"]))
    assert path.read_text() == '{"cost":"1.5"}\n{"cost":"2"}\n'


def test_the_source_finds_what_was_fetched(fake_bigquery, tmp_path):
    found = SOURCE.find(Place.of(str(tmp_path), tmp_path), source(invoice_months=["2026-11"]))
    assert found.files == (f"{tmp_path}/gcp_billing_202611.jsonl",)


def test_a_table_name_is_checked_before_it_enters_a_query(fake_bigquery, tmp_path):
    for name in ("costs.export", "acme-billing.costs.x` WHERE true --", ""):
        with pytest.raises(ConfigError) as caught:
            _bigquery.export(tmp_path, source(table=name))
        assert str(caught.value) == (
            f"apportion.toml: sources.gcp.options.table: '{name}' is not the name of a BigQuery table. "
            "Write it as project.dataset.table."
        )
    assert fake_bigquery.asked == []


def test_months_are_a_list_of_months(fake_bigquery, tmp_path):
    with pytest.raises(ConfigError) as caught:
        _bigquery.export(tmp_path, source(invoice_months="2026-10"))
    assert str(caught.value) == (
        "apportion.toml: sources.gcp.options.invoice_months: '2026-10' is not a list of months. "
        'Write it as ["2026-10"].'
    )
    with pytest.raises(BadPeriod):
        _bigquery.export(tmp_path, source(invoice_months=["2026-13"]))


def test_without_the_extra_the_command_that_installs_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "google.cloud", None)
    with pytest.raises(MissingExtra) as caught:
        _bigquery.export(tmp_path, source(), today=NOVEMBER)
    assert str(caught.value) == (
        "Reading BigQuery needs packages that are not installed. Run: pip install 'apportion[bigquery]'"
    )

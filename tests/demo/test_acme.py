from __future__ import annotations

import hashlib
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from apportion import app
from apportion.core.config_file import parse_config
from apportion.core.money import from_quanta, quanta
from apportion.core.period import Month
from apportion.demo import RESTATED, write_company, write_sample
from apportion.demo.acme.habits import HABITS
from apportion.ledger.lenses import Lens


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def acme(tmp_path_factory):
    """Two months of acme, written, both deliveries ingested, run."""
    folder = tmp_path_factory.mktemp("demo") / "acme"
    write_company(folder, months=2)
    with app.open_project(folder) as project:
        first = app.ingest(project)
        later = app.ingest(project, source="aws", paths=RESTATED["aws"])
        app.run(project)
        yield project, first, later


def truth(folder: Path, delivery: int = 1) -> dict[tuple[str, str], Decimal]:
    """BilledCost by source and month as planted."""
    sums: dict[tuple[str, str], int] = {}
    for row in pq.read_table(folder / "truth" / "totals.parquet").to_pylist():
        if row["delivery"] == delivery:
            key = (row["source"], row["month"])
            sums[key] = sums.get(key, 0) + quanta(Decimal(row["billed"]))
    return {key: from_quanta(total) for key, total in sums.items()}


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    for name, seed in (("one", 7), ("two", 7), ("other", 8)):
        write_company(tmp_path / name, months=1, seed=seed, last=Month(2026, 3))
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert digests(tmp_path / "one") != digests(tmp_path / "other")


def test_the_bills_add_up_to_the_planted_truth_to_the_last_digit(acme):
    project, first, _ = acme
    found = {
        (result.source_id, str(s.scope.period)): sum(
            from_quanta(quanta(t.totals["USD"]["BilledCost"]))
            for t in result.published
            if t.scope.period == s.scope.period
        )
        for result in first
        for s in result.published
        if s.samples is None
    }
    assert found == truth(project.folder)
    assert {source for source, _ in found} == {"aws", "gcp", "azure", "llm"}


def test_the_later_delivery_restates_one_month_by_the_planted_difference(acme):
    project, _, (later,) = acme
    (snapshot,) = later.published
    assert str(snapshot.scope.period) == "2026-09"
    assert snapshot.totals["USD"]["BilledCost"] == truth(project.folder, delivery=2)["aws", "2026-09"]
    (restatement,) = later.restatements
    changed = {line.service for line in restatement.lines}
    assert changed == {"Amazon SageMaker", "Amazon Elastic Compute Cloud"}


def test_no_row_is_rejected_and_every_certificate_holds(acme):
    project, first, _ = acme
    assert all(snapshot.rejected == 0 for result in first for snapshot in result.published)
    assert app.verify(project).passed


def test_most_of_the_money_has_a_team_and_some_has_none(acme):
    project, _, _ = acme
    (section,) = app.report(project, by="team", lens=Lens.BEFORE).sections
    place = [column.key for column in section.columns].index("share")
    unallocated = section.rows[-1][place]
    assert section.rows[-1][0] == "unallocated"
    assert Decimal("0.08") < unallocated < Decimal("0.25")


def test_the_product_never_needs_the_truth(tmp_path):
    write_company(tmp_path / "acme", months=1)
    config = parse_config((tmp_path / "acme" / "apportion.toml").read_text())
    assert not any("truth" in path for source in config.sources for path in source.paths)
    assert len(config.rules) == 7


def test_tags_are_as_untidy_as_they_are(acme):
    project, _, _ = acme
    keys = set()
    for snapshot in project.store.current_snapshots():
        for tags in pq.read_table(snapshot.attributes, columns=["Tags"])["Tags"].to_pylist():
            keys |= {key for key, _ in tags or ()}
    assert {"team", "Team", "ml-team", "owner", " org", "env", "stage", "eks:cluster-name"} <= keys
    assert len(HABITS) == 14


def test_the_sample_is_the_foundations_file_with_its_notice(tmp_path):
    write_sample(tmp_path)
    given = Path(__file__).parents[1] / "data" / "focus" / "focus10_sample_1000.csv"
    assert (tmp_path / "bills" / given.name).read_bytes() == given.read_bytes()
    assert "CC BY 4.0" in (tmp_path / "LICENCE.md").read_text()
    with app.open_project(tmp_path) as project:
        app.ingest(project)
        run = app.run(project).run
        assert run.totals_out["USD"]["BilledCost"] == Decimal("20.520226728990000000")
        codes = {problem.code: problem for problem in app.problems(project)}
    assert codes["azure_shifted_availability_zone"].rows == "948, 951, 953-1001"
    assert {"enum_spelling", "date_form"} <= codes.keys()

"""Our own export read again, under the rules that made it: nothing is split twice and every byte comes out again."""

from __future__ import annotations

from pathlib import Path

import pytest

from apportion.core.config import Condition, Config, Hierarchy, Rule, RuleShare, SourceConfig, TagConfig
from apportion.core.period import Period
from apportion.engine.select import engine
from apportion.ledger.post import post
from apportion.reports.focus_dataset import export_focus
from apportion.sources.intake.ingest import ingest
from apportion.store import open_store

BILL = Path(__file__).parent.parent / "data" / "focus" / "focus10_sample_1000.csv"
SHARES = (RuleShare(3, {"team": "Ads"}), RuleShare(2, {"team": "Risk"}), RuleShare(1, {}))
KEYS = {
    "team": ("team", "business_unit"),
    "project": ("application",),
    "environment": ("env", "environment"),
    "model": (),
}


def export(folder, place, to, rule):
    config = Config("c", "USD", "s", (), TagConfig(KEYS), rules=(rule,), hierarchy=Hierarchy(teams={"Ads": "Growth"}))
    with open_store(folder) as store, engine("duckdb") as duckdb:
        ingest(SourceConfig("bills", "focus", (str(place),)), store=store, base=Path())
        run = post(store, config, config_text="", engine=duckdb).run
        return export_focus(store, run, period=Period.parse("2024-09..2024-10"), to=to)


@pytest.mark.parametrize("override", [False, True])
def test_rules_never_split_what_an_export_split(tmp_path, override):
    rule = Rule("shared", Condition(matches={"service": "Elastic Compute"}), SHARES, override=override)
    first = export(tmp_path / "a", BILL, tmp_path / "first", rule)
    second = export(tmp_path / "b", tmp_path / "first", tmp_path / "second", rule)
    assert first.rows > 1000
    assert [file.path.read_bytes() for file in second.files] == [file.path.read_bytes() for file in first.files]

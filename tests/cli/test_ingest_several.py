"""Several sources of which some fail: the others are brought in, and every form says so."""

from __future__ import annotations

import csv
import io
import json

import pytest
from click.testing import CliRunner
from tests.metered_company import CHARGES, CONFIG, USES, write_company
from tests.sources.scripted_server import serving

from apportion import app
from apportion.cli.main import _outcome, cli
from apportion.errors import ConfigError, MeterUnreachable, NotStored, SourcesFailed, UnknownShape, UnreadableFile
from apportion.sources.readings import ingest as readings

PROMETHEUS = """
[[sources]]
id = "prom"
kind = "prometheus"

[sources.options]
url = "{url}"
since = "{since}"
"""
TO_DO = "Days that were complete are kept and nothing of this source was ingested"


@pytest.fixture(scope="module")
def refusing():
    """The address of a Prometheus that refuses everybody."""
    with serving((401, {}, {})) as (url, _):
        yield url


def between(folder, refusing, *, since="2026-10-01"):
    """A company whose second source of four fails: bill, prom, meter, patchy."""
    bill, *others = CONFIG.split("[[sources]]")[1:]
    first = CONFIG.partition("[[sources]]")[0] + f"[[sources]]{bill}" + PROMETHEUS.format(url=refusing, since=since)
    config = first + "".join(f"\n[[sources]]{other}" for other in others)
    return write_company(folder, CHARGES[:1], USES[:2], config=config)


@pytest.fixture
def folder(tmp_path, refusing):
    return between(tmp_path / "company", refusing)


def said(capsys, folder, *words):
    """Exit code, stdout and stderr of the command, as a shell has them."""
    code = _outcome(["--project", str(folder), *words])
    told = capsys.readouterr()
    return code, told.out, told.err


def held(folder):
    """What is kept: sources of bills and of readings."""
    with app.open_project(folder) as project:
        kept = (*project.store.current_snapshots(), *project.store.current_readings())
        return {snapshot.scope.source_id for snapshot in kept}


def ingested(folder, **options):
    with app.open_project(folder) as project:
        return app.ingest(project, **options)


def test_a_meter_that_cannot_be_reached_keeps_no_other_source_back(folder, refusing):
    with pytest.raises(SourcesFailed) as failed:
        ingested(folder)
    assert [result.source_id for result in failed.value.brought_in] == ["bill", "meter", "patchy"]
    ((source, error),) = failed.value.failures
    assert (source, type(error), failed.value.untried, failed.value.exit_code) == ("prom", MeterUnreachable, (), 1)
    assert failed.value.__cause__ is error
    assert str(failed.value).startswith(
        "1 of 4 sources could not be brought in: prom. Kept: bill, meter, patchy.\n"
        f"prom: Source 'prom': {refusing}/api/v1/"
    )
    assert held(folder) == {"bill", "meter", "patchy"}


def test_every_source_that_fails_is_told_with_what_to_do(folder, capsys):
    (folder / "meters" / "october.csv").unlink()
    (folder / "patchy" / "october.csv").write_text("moon\nfull\n")
    code, out, err = said(capsys, folder, "ingest")
    first, kept, prom, meter, patchy, *more = err.splitlines()
    assert (code, more) == (1, [])
    assert (first, kept) == (
        "Error: 3 of 4 sources could not be brought in: prom, meter, patchy.",
        "Kept: bill.",
    )
    assert TO_DO in prom
    assert meter.endswith("no file was found there. Check the paths of the source 'meter'.")
    assert patchy.startswith("patchy: ")
    assert [row["source"] for row in csv.DictReader(io.StringIO(out))] == ["bill"]
    with pytest.raises(SourcesFailed) as failed:
        ingested(folder)
    assert [type(error) for _, error in failed.value.failures] == [MeterUnreachable, UnreadableFile, UnknownShape]


def test_where_no_source_came_in_nothing_is_kept(folder, capsys):
    for name in ("bills/2026-10.csv", "meters/october.csv", "patchy/october.csv"):
        (folder / name).unlink()
    code, out, err = said(capsys, folder, "ingest", "--json")
    assert (code, json.loads(out)["sections"][0]["rows"], err.splitlines()[1]) == (1, [], "Kept: nothing.")
    assert held(folder) == set()


@pytest.mark.parametrize("form", ["table", "md", "csv", "json"])
def test_what_came_in_is_printed_in_every_form_and_the_failure_goes_to_stderr(folder, capsys, form):
    code, out, err = said(capsys, folder, "-q", "ingest", "--format", form)
    assert code == 1
    assert all(source in out for source in ("bill", "meter", "patchy"))
    assert err.startswith("Error: 1 of 4 sources could not be brought in: prom.\nKept: bill, meter, patchy.\nprom: ")
    assert ("Not brought in: prom (Source 'prom'" in out) == (form != "csv")
    assert "Not brought in" not in err


def test_json_has_the_rows_that_are_kept_and_the_failure_in_its_notes(folder, capsys):
    _, out, _ = said(capsys, folder, "ingest", "--json")
    document = json.loads(out)
    assert [row["source"] for row in document["sections"][0]["rows"]] == ["bill", "meter", "patchy"]
    (note,) = document["notes"]
    assert note.startswith("Not brought in: prom (Source 'prom': http://127.0.0.1:")
    assert TO_DO not in note


def test_one_source_fails_as_itself(folder, capsys):
    with pytest.raises(MeterUnreachable):
        ingested(folder, source="prom")
    code, out, err = said(capsys, folder, "ingest", "prom")
    assert (code, out) == (1, "")
    assert err.startswith("Error: Source 'prom': http://127.0.0.1:")
    assert held(folder) == set()


def test_what_was_kept_is_not_read_again(folder, refusing, capsys):
    said(capsys, folder, "ingest")
    path = folder / "apportion.toml"
    path.write_text(path.read_text().replace(PROMETHEUS.format(url=refusing, since="2026-10-01"), ""))
    done = CliRunner().invoke(cli, ["--project", str(folder), "ingest"])
    assert [row["outcome"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["unchanged"] * 3
    assert done.exit_code == 0


def test_a_fault_of_the_configuration_ends_it_and_says_what_was_kept_and_not_tried(tmp_path, refusing, capsys):
    folder = between(tmp_path / "company", refusing, since="yesterday")
    code, out, err = said(capsys, folder, "ingest", "--json")
    assert (code, held(folder)) == (2, {"bill"})
    assert err.splitlines()[:3] == [
        "Error: 1 of 4 sources could not be brought in: prom.",
        "Kept: bill.",
        "Not tried: meter, patchy.",
    ]
    assert "sources.prom.options.since: 'yesterday' is no day. Write it like" in err
    assert json.loads(out)["notes"][1:] == ["Not tried: meter", "Not tried: patchy"]


def test_a_fault_of_the_configuration_of_the_first_source_ends_it_before_anything(tmp_path, refusing):
    folder = between(tmp_path / "company", refusing, since="yesterday")
    path = folder / "apportion.toml"
    head, *sources = path.read_text().split("[[sources]]")
    path.write_text("[[sources]]".join([head, *sorted(sources, key=lambda text: "prom" not in text)]))
    with pytest.raises(ConfigError, match="'yesterday' is no day"):
        ingested(folder)
    assert held(folder) == set()


def test_a_file_that_may_not_be_read_keeps_no_other_source_back(folder, monkeypatch):
    collect = readings.collect

    def refused(source, config, **given):
        if config.id == "meter":
            raise PermissionError(13, "Permission denied", "meters/october.csv")
        return collect(source, config, **given)

    monkeypatch.setattr(readings, "collect", refused)
    with pytest.raises(SourcesFailed, match=r"meters/october.csv: Permission denied. Check the path and its permissi"):
        ingested(folder)
    assert held(folder) == {"bill", "patchy"}


def test_a_full_disk_ends_it(folder, monkeypatch):
    def full(*_, **__):
        raise NotStored("No space left on device")

    monkeypatch.setattr(readings, "collect", full)
    with pytest.raises(SourcesFailed) as failed:
        ingested(folder)
    assert [source for source, _ in failed.value.failures] == ["prom", "meter"]
    assert failed.value.untried == ("patchy",)

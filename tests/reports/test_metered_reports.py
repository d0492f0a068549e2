"""The metered reports on a company that can be checked by hand (`tests/metered_company.py`)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.metered_company import (
    CHARGES,
    DAY,
    MIXED_CHARGES,
    NODE_1,
    NODE_2,
    NODE_3,
    TUNING,
    USES,
    charge,
    use,
    write_company,
)

from apportion import app
from apportion.core.money import quanta
from apportion.core.period import Period
from apportion.reports.reading.remarks import NO_METER

OCTOBER = Period.parse("2026-10")
THOUSAND = Decimal(1000)


def made(folder, *given, **options):
    """The open project of the written company, ingested and run; close it by leaving the test."""
    opened = app.open_project(write_company(folder, *given, **options))
    project = opened.__enter__()
    app.ingest(project)
    app.run(project)
    return opened, project


@pytest.fixture(scope="module")
def metered(tmp_path_factory):
    opened, project = made(tmp_path_factory.mktemp("metered") / "company")
    yield project
    opened.__exit__(None, None, None)


@pytest.fixture
def build(tmp_path):
    """Makes projects that are closed at the end of the test."""
    opened = []

    def new(*given, **options):
        context, project = made(tmp_path / str(len(opened)), *given, **options)
        opened.append(context)
        return project

    yield new
    for context in opened:
        context.__exit__(None, None, None)


def ask(project, by, **options):
    return app.report(project, by=by, period=OCTOBER, **options)


def rows(answer, *keys, currency="USD"):
    (section,) = [each for each in answer.sections if each.currency == currency]
    places = [[column.key for column in section.columns].index(key) for key in keys]
    return [tuple(read(row[place]) for place in places) for row in (*section.rows, section.total)]


def read(cell):
    """An amount as one would work it out by hand: shares are rounded to 10^-15 of a charge."""
    return round(cell, 9) if isinstance(cell, Decimal) else cell


def by_name(answer, *keys):
    return {row[0]: row[1:] for row in rows(answer, answer.sections[0].columns[0].key, *keys)}


def test_every_job_has_its_hours_and_its_cost(metered):
    found = by_name(ask(metered, "job"), "gpu_hours", "cpu_hours", "storage_gib_months", "cost", "cost_per_gpu_hour")
    assert found == {
        "bert training": (25, None, 2, Decimal("57.75"), Decimal("2.31")),
        "job-2": (20, None, None, 40, 2),
        "ds-1": (None, None, 6, Decimal("23.25"), None),
        "nb-1": (5, None, None, 10, 2),
        "tuning": (3, 24, None, 9, 3),
        "job-3": (5, None, None, 5, 1),
        "job-4": (2, None, None, None, None),
        "job-5": (1, None, None, None, None),
        "job-6": (1, None, None, None, None),
        "job-7": (None, None, None, None, None),
        "idle": (None, None, None, 125, None),
        "unmetered": (None, None, None, 5, None),
        "Total": (62, 24, 8, 275, None),
    }


def test_the_costliest_job_is_first_and_what_nobody_held_comes_last(metered):
    assert [row[0] for row in rows(ask(metered, "job"), "job")] == [
        *("bert training", "job-2", "ds-1", "nb-1", "tuning", "job-3"),
        *("job-4", "job-5", "job-6", "job-7", "idle", "unmetered", "Total"),
    ]


def test_a_job_says_what_it_is_and_how_busy_its_gpus_were(metered):
    keys = ("kind", "team", "model", "experiment", "status", "gpu_utilisation")
    found = by_name(ask(metered, "job"), *keys)
    assert found["bert training"] == ("training_job", "risk", "fraud-bert", "exp-a", "FINISHED", Decimal("0.4"))
    assert found["job-2"] == ("training_job", "ads", "feed", "exp-b", None, None)


def test_a_job_that_the_bill_names_has_the_hours_of_its_machine(metered):
    (found,) = [row for row in rows(ask(metered, "job"), "id", "gpu_hours", "memory_gib_hours") if row[0] == TUNING]
    assert found == (TUNING, 3, 3 * 61)


def test_a_job_that_is_metered_and_named_by_the_bill_is_counted_once(build):
    on_tuning = use(DAY, TUNING, "gpu_seconds", 4, resource_id=TUNING, unit="gpu_hours", workload_kind="training_job")
    (found,) = [
        row
        for row in rows(ask(build(uses=(*USES, on_tuning)), "job"), "id", "gpu_hours", "cpu_hours", "cost")
        if row[0] == TUNING
    ]
    assert found == (TUNING, 4, 24, 9)


def test_jobs_endpoints_idle_and_unmetered_add_up_to_what_was_metered(metered):
    jobs, endpoints = ask(metered, "job"), ask(metered, "endpoint")
    assert jobs.notes == (
        "Metered in USD: jobs 145.00 + endpoints 87.00 + idle 125.00 + unmetered 5.00 = 362.00.",
        "4 jobs have usage and no charge in these bills: see 'apportion report --by metering-gaps'.",
    )
    metered = [each for each in CHARGES if each["BilledCost"] not in {"7", "3", "4", "1"}]
    assert rows(jobs, "cost")[-1][0] + rows(endpoints, "cost")[-1][0] == sum(Decimal(m["BilledCost"]) for m in metered)


def test_filters_choose_cost_and_leave_the_hours_of_a_job_whole(metered):
    found = by_name(ask(metered, "job", filters={"service": ("EBS",)}), "gpu_hours", "cost", "cost_per_gpu_hour")
    assert found == {
        "ds-1": (None, Decimal("23.25"), None),
        "bert training": (25, Decimal("7.75"), Decimal("2.31")),
        "Total": (25, 31, None),
    }


def test_a_filter_by_team_lists_the_uncharged_jobs_of_that_team(metered):
    assert [row[0] for row in rows(ask(metered, "job", filters={"team": ("ads",)}), "job")] == [
        *("job-2", "job-3", "Total"),
    ]
    found = ask(metered, "job", filters={"team": ("unallocated",)})
    assert {"job-4", "job-7"} <= {row[0] for row in rows(found, "job")}


def test_an_endpoint_costs_so_much_a_request_and_a_token(metered):
    keys = ("requests", "tokens_input", "tokens_output", "gpu_hours", "cost")
    found = by_name(ask(metered, "endpoint"), *keys, "cost_per_1000_requests", "cost_per_million_tokens", "idle_share")
    assert found == {
        "ep-1": (10000, 1500000, 500000, 60, 75, Decimal("7.5"), Decimal("37.5"), Decimal("0.25")),
        "key-1": (400, 744000, 148800, None, 12, 30, Decimal("13.440860215"), 0),
        "Total": (10400, 2244000, 648800, 60, 87, None, None, None),
    }


def test_stages_follow_from_kind_and_sweep_and_add_up_to_the_cost_of_the_model(metered):
    answer = ask(metered, "model-stages")
    found = by_name(answer, "experiment", "training", "inference", "storage", "shared", "cost")
    assert found == {
        "idle": (None, None, None, None, 125, 125),
        "ranker": (None, None, 75, None, None, 75),
        "fraud-bert": (None, 50, None, Decimal("7.75"), None, Decimal("57.75")),
        "feed": (45, None, None, None, None, 45),
        "unallocated": (10, 9, 12, Decimal("24.25"), 19, Decimal("74.25")),
        "Total": (55, 59, 87, 32, 144, 377),
    }
    plain = by_name(ask(metered, "model"), "cost")
    assert {name: row[-1] for name, row in found.items()} == {name: cost for name, (cost,) in plain.items()}


def test_stages_add_up_to_the_cost_of_the_model_to_the_last_digit(metered):
    stages, plain = ask(metered, "model-stages"), ask(metered, "model")
    costs = {row[0]: row[[c.key for c in plain.sections[0].columns].index("cost")] for row in plain.sections[0].rows}
    for name, *parts, cost in stages.sections[0].rows:
        assert sum(quanta(part) for part in parts if part is not None) == quanta(cost) == quanta(costs[name])


def test_the_rows_of_all_metered_reports_add_up_exactly(metered):
    jobs, endpoints, experiments = (ask(metered, by) for by in ("job", "endpoint", "cost-of-experiment"))
    costs = {}
    for name, answer in (("jobs", jobs), ("endpoints", endpoints), ("experiments", experiments)):
        (section,) = answer.sections
        at = [column.key for column in section.columns].index("cost")
        costs[name] = sum(quanta(row[at]) for row in section.rows if row[at] is not None)
        assert costs[name] == quanta(section.total[at])
    assert costs["jobs"] + costs["endpoints"] == quanta(Decimal(362))
    assert costs["experiments"] == costs["jobs"] - quanta(Decimal(130))


def test_an_experiment_has_all_its_runs_and_those_of_its_sweeps(metered):
    keys = ("experiment", "parent", "runs", "gpu_hours", "cost", "cost_per_gpu_hour", "experiment_cost")
    assert rows(ask(metered, "cost-of-experiment"), *keys) == [
        ("exp-a", None, 2, 30, Decimal("67.75"), Decimal("2.258333333"), Decimal("67.75")),
        ("exp-b", "sweep-1", 2, 25, 45, Decimal("1.8"), 45),
        ("no experiment", None, 6, 7, Decimal("32.25"), Decimal("4.607142857"), None),
        ("Total", None, 10, 62, 145, Decimal("2.338709677"), None),
    ]


def test_parents_in_a_circle_are_one_tree(build):
    circle = [
        use(DAY, name, "gpu_seconds", 1, resource_id=NODE_1, workload_kind="training_job", parent=parent)
        for name, parent in (("a", "b"), ("b", "a"))
    ]
    found = rows(ask(build(CHARGES[:1], circle), "cost-of-experiment"), "experiment", "parent", "runs")
    assert sum(runs for _, _, runs in found[:-1]) == found[-1][-1] == 3


def test_idle_says_where_how_much_and_whose(metered):
    keys = ("host_team", "gpu_capacity_hours", "gpu_idle_hours", "idle_cost", "cost", "idle_share")
    assert by_name(ask(metered, "idle"), *keys) == {
        NODE_1: ("platform", 100, 50, 100, 200, Decimal("0.5")),
        NODE_2: ("serving", 80, 20, 25, 100, Decimal("0.25")),
        "Total": (None, 180, 70, 125, 300, Decimal("0.416666667")),
    }


def test_idle_of_a_machine_of_known_size_needs_no_capacity_samples(build):
    tiny = use(DAY, "j", "gpu_seconds", 5, resource_id=NODE_1, unit="gpu_hours", instance_type="p3.2xlarge")
    found = by_name(
        ask(build(CHARGES[:1], [tiny]), "idle"), "gpu_capacity_hours", "gpu_idle_hours", "cpu_capacity_hours"
    )
    assert found[NODE_1] == (20, 15, 160)


def test_where_idle_is_spread_over_workloads_there_is_none(build):
    from tests.metered_company import CONFIG

    project = build(config=CONFIG + '\n[metering]\nidle = "workloads"\n')
    assert ask(project, "idle").notes == (
        'Nothing is idle, for [metering] idle = "workloads" spreads it over those that used the resources.',
    )


def test_gaps_are_listed_with_their_hours_and_their_money(metered):
    keys = ("gap", "resource", "workloads", "hours", "gpu_hours", "cost", "why")
    assert rows(ask(metered, "metering-gaps"), *keys) == [
        ("usage without a charge", "i-00000000000000009", 1, 2, 2, None, "No charge of these months is for it."),
        ("usage without a charge", "twin", 1, 1, 1, None, "No charge of these months is for it."),
        ("usage without a charge", "twin", 1, 1, 1, None, "No charge of these months is for it."),
        (
            *("usage without a charge", "no resource named", 1, 3, None, None),
            "Its meter does not say which resource it used.",
        ),
        (
            *("ambiguous charge", "twin", None, None, None, 4),
            "It fits 2 metered resources equally well: say which in [metering.nodes].",
        ),
        ("charge without usage", "i-0000000000000000b", None, None, None, 7, "Others of its kind are metered."),
        ("charge without usage", "gpu-box", None, None, None, 3, "It is a machine with GPUs, and no meter knows it."),
        (
            *("unmetered time", NODE_3, None, 5, None, 5),
            "No meter looked then: that time belongs to whom tags and rules name for it.",
        ),
        ("Total", None, None, None, None, 19, None),
    ]


def test_with_a_filter_only_charges_can_be_gaps(metered):
    found = rows(ask(metered, "metering-gaps", filters={"team": ("ads",)}), "gap", "resource", "cost")
    assert found == [("charge without usage", "i-0000000000000000b", 7), ("Total", None, 7)]


@pytest.mark.parametrize(
    ("by", "note"),
    [
        ("job", "No job was metered or named by these bills."),
        ("endpoint", "No endpoint or API key was metered or named by these bills."),
        ("cost-of-experiment", "No run was metered or named by these bills."),
        ("idle", NO_METER),
        ("metering-gaps", NO_METER),
    ],
)
def test_without_meters_a_report_says_so(allocated, by, note):
    answer = app.report(allocated, by=by)
    assert (answer.sections, answer.notes) == ((), (note,))


def test_two_currencies_are_two_sections_and_uncharged_jobs_are_in_the_first(build):
    euros = charge("50", DAY, NODE_2, BillingCurrency="EUR", BillingAccountId="A-2")
    answer = ask(build((CHARGES[0], euros)), "job")
    assert [section.currency for section in answer.sections] == ["USD", "EUR"]
    named = {section.currency: {row[0] for row in section.rows} for section in answer.sections}
    assert "job-4" in named["USD"]
    assert named["EUR"] == {"idle"}
    assert rows(answer, "cost", currency="EUR")[-1] == (Decimal("12.5"),)


def test_one_uncharged_job_is_one_job(build):
    alone = use(DAY, "lost", "gpu_seconds", 1, resource_id="i-0000000000000000c", workload_kind="training_job")
    answer = ask(build(CHARGES[:1], [alone], patchy=[use(DAY, "", "gpu_seconds", 5, resource_id=NODE_1)]), "job")
    assert answer.notes[-1] == (
        "1 job has usage and no charge in these bills: see 'apportion report --by metering-gaps'."
    )


def test_a_job_of_several_teams_names_them_all(build):
    from tests.metered_company import CONFIG

    rule = """
[[rules]]
id = "halves"
when = { resource_id = "job-2" }
split = [{ weight = 1, team = "risk" }, { weight = 1, team = "ads" }]
override = true
"""
    found = by_name(ask(build(config=CONFIG + rule), "job"), "team", "cost")
    assert found["job-2"] == ("ads, risk", 40)
    half = by_name(ask(build(config=CONFIG + rule), "job", filters={"team": ("ads",)}), "cost", "cost_per_gpu_hour")
    assert half["job-2"] == (20, 2)


def test_the_metric_that_a_charge_lacks_is_said(build):
    without = {key: value for key, value in MIXED_CHARGES[0].items() if key != "ListCost"}
    answer = ask(build((without, CHARGES[1])), "job", metric="ListCost")
    assert any(note.startswith("ListCost is missing on at least") for note in answer.notes)

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.metered_company import CHARGES, CONFIG, DAY, FIFTH, NODE_1, TUNING, USES, VOLUME, charge, use, write_company

from apportion import app
from apportion.core.config import MeteringConfig
from apportion.core.period import Month, Period
from apportion.ledger import explain_metered
from apportion.ledger.metered_words import (
    Held,
    duration,
    figure,
    idle_words,
    named_words,
    unmetered_words,
    work_words,
)
from apportion.store.records import Part

OCTOBER = Period.parse("2026-10")


@pytest.fixture(scope="module")
def metered(tmp_path_factory):
    with app.open_project(write_company(tmp_path_factory.mktemp("explain") / "company")) as project:
        app.ingest(project)
        app.run(project)
        yield project


def pieces(project, **filters):
    found = app.amount_explained(project, period=OCTOBER, filters={k: (v,) for k, v in filters.items()}, limit=100)
    return [piece for explained in found for piece in explained.pieces]


def of(project, workload, service="EC2"):
    (found,) = [p for p in pieces(project, service=service) if (p.workload_id or p.workload_kind) == workload]
    return found


def test_a_piece_tells_its_interval_its_gpus_and_its_part_of_the_node(metered):
    piece = of(metered, "job-1")
    assert (piece.workload_kind, piece.host_team) == ("training_job", "platform")
    use_of = piece.metered
    assert use_of.words == "6 h 15 min of 4 GPUs on i-00000000000000001, 25 % of its GPU time"
    assert (use_of.measure, use_of.held, use_of.capacity) == ("gpu_seconds", 90000, 360000)
    assert (use_of.share, use_of.seconds) == (Decimal("0.25"), 22500)
    assert (use_of.weights, use_of.basis, use_of.meters) == ("opencost", "max", ("meter",))
    assert (use_of.workload_name, use_of.resource) == ("bert training", NODE_1)


def test_a_fraction_of_a_gpu_is_told_as_one(metered):
    assert of(metered, "nb-1").metered.words == "10 h of 0.5 GPUs on i-00000000000000001, 5 % of its GPU time"
    assert of(metered, "job-2").metered.words == "20 h of 1 GPU on i-00000000000000001, 20 % of its GPU time"


def test_storage_and_tokens_are_told_in_their_own_units(metered):
    assert of(metered, "ds-1", "EBS").metered.words == (
        "744 h of 6 GiB stored on vol-00000000000000001, 75 % of its storage over that time"
    )
    key = of(metered, "key-1", "Model API").metered
    # 744,000 in and 148,800 out at five times the weight
    assert key.words == "1,488,000 tokens by their weights on proj-1, 100 % of its tokens by weight"
    assert (key.measure, key.weights) == ("tokens", "tokens")


def test_an_idle_piece_says_how_much_nobody_held(metered):
    idle = [p for p in pieces(metered, team="idle") if p.resource_id == NODE_1]
    assert [p.metered.words for p in idle] == ["50 of 100 GPU-hours of i-00000000000000001 were held by nobody"]
    assert idle[0].metered.share == Decimal("0.5")


def test_an_unmetered_piece_says_for_how_long_nobody_looked(metered):
    piece = of(metered, "unmetered")
    assert piece.metered.words == "no meter looked at i-00000000000000003 for 5 h of 10 h"
    assert (piece.metered.held, piece.metered.capacity, piece.metered.meters) == (18000, 36000, ("patchy",))


def test_a_piece_that_the_bill_names_says_what_the_bill_says(metered):
    (piece,) = pieces(metered, service="Amazon SageMaker")
    assert piece.metered.words == "the bill names it: 3 h of ml.p3.2xlarge with 1 GPU"
    assert (piece.metered.workload_name, piece.metered.held) == ("tuning", 10800)


def test_a_piece_that_was_not_metered_says_nothing(metered):
    (piece,) = pieces(metered, service="S3")
    assert (piece.metered, piece.workload_kind, piece.workload_id, piece.host_team) == (None, None, None, None)


def test_a_charge_tells_how_each_of_its_pieces_was_metered(metered):
    charge_id = of(metered, "job-1").charge_id
    found = app.charge_explained(metered, charge_id)
    assert sorted(piece.metered.words for piece in found.pieces) == [
        "10 h of 0.5 GPUs on i-00000000000000001, 5 % of its GPU time",
        "20 h of 1 GPU on i-00000000000000001, 20 % of its GPU time",
        "50 of 100 GPU-hours of i-00000000000000001 were held by nobody",
        "6 h 15 min of 4 GPUs on i-00000000000000001, 25 % of its GPU time",
    ]
    assert sum(piece.metered.share for piece in found.pieces) == 1


def test_only_the_largest_pieces_of_each_currency_are_told_and_in_order(metered):
    (found,) = app.amount_explained(metered, period=OCTOBER, limit=3)
    amounts = [abs(piece.amount) for piece in found.pieces]
    assert len(amounts) == 3
    assert amounts == sorted(amounts, reverse=True)


@pytest.fixture
def run_under(tmp_path):
    opened = []

    def new(charges, uses, config=CONFIG):
        context = app.open_project(write_company(tmp_path / str(len(opened)), charges, uses, config=config))
        project = context.__enter__()
        opened.append(context)
        app.ingest(project)
        app.run(project)
        return project

    yield new
    for context in opened:
        context.__exit__(None, None, None)


def test_an_hourly_charge_tells_the_part_of_its_own_hour(run_under):
    hour = ("2026-10-01T06:00:00Z", "2026-10-01T07:00:00Z")
    project = run_under([charge("10", hour, NODE_1, ResourceName="node-1")], USES)
    (piece,) = [p for p in pieces(project) if p.workload_id == "job-1"]
    assert piece.metered.words == "15 min of 4 GPUs on i-00000000000000001, 20 % of its GPU time"


def test_idle_that_the_owner_bears_says_so(run_under):
    project = run_under(CHARGES[:1], USES, CONFIG + '\n[metering]\nidle = "owner"\n')
    (piece,) = [p for p in pieces(project) if p.workload_kind == "idle"]
    assert piece.owner["team"] == "platform"
    assert piece.metered.words == (
        "50 of 100 GPU-hours of i-00000000000000001 were held by nobody; "
        'its owner bears them ([metering] idle = "owner")'
    )


def test_weights_of_a_machine_type_are_named(run_under):
    weights = '\n[metering.machine_weights."p3.2xlarge"]\ngpu = "1"\ncpu = "1"\nmemory = "1"\nsource = "ours"\n'
    tiny = use(DAY, "j", "gpu_seconds", 5, resource_id=NODE_1, unit="gpu_hours", instance_type="p3.2xlarge")
    project = run_under(CHARGES[:1], [tiny], CONFIG + weights)
    (piece,) = [p for p in pieces(project) if p.workload_id == "j"]
    assert piece.metered.weights == "machine_weights.p3.2xlarge"


def test_cores_and_memory_are_told_where_no_gpu_was_held(run_under):
    uses = [
        use(FIFTH, "cores", "cpu_core_seconds", 20, resource_id=NODE_1, unit="cpu_hours"),
        use(FIFTH, "room", "memory_byte_seconds", 40, resource_id=NODE_1, unit="gib_hours"),
    ]
    project = run_under([charge("10", FIFTH, NODE_1)], uses)
    told = {piece.workload_id: piece.metered.words for piece in pieces(project)}
    assert told == {
        "cores": "10 h of 2 cores on i-00000000000000001, 100 % of its core time",
        "room": "10 h of 4 GiB of memory on i-00000000000000001, 100 % of its memory over that time",
    }


@pytest.mark.parametrize(
    ("held", "seconds", "words"),
    [
        (Held("requests", Fraction(400), Fraction(1000), "api"), None, "400 requests on api, 40 % of its requests"),
        (
            Held("compute_seconds", Fraction(5400), Fraction(10800), "triton"),
            Fraction(60),
            "1 h 30 min of computing on triton, 50 % of its computing time",
        ),
        (
            Held("run_seconds", Fraction(3600), Fraction(10**8), "box"),
            Fraction(3600),
            "1 h of running on box, under 0.1 % of its running time",
        ),
        (
            Held("gpu_seconds", Fraction(3600), Fraction(0), "box"),
            None,
            "1 GPU-hours of box, an unknown part of what it had",
        ),
        (
            Held("reported_cost", Fraction(5, 2), Fraction(75, 2), "api"),
            None,
            "2.5 of reported cost on api, 6.7 % of its reported cost",
        ),
    ],
)
def test_other_measures_have_words_of_their_own(held, seconds, words):
    assert work_words(held, seconds) == words


def test_what_is_idle_of_a_resource_that_is_no_machine_is_told_too():
    assert idle_words(Held("requests", Fraction(1), Fraction(3), "api"), "keep") == (
        "1 of 3 requests of api were held by nobody"
    )
    assert unmetered_words("box", Fraction(0), Fraction(0)) == "no meter saw any use of box in this time"


@given(st.integers(60, 10**9))
def test_a_duration_is_right_to_the_half_minute(seconds):
    words = duration(Fraction(seconds)).replace(",", "").split()
    told = sum(int(n) * {"h": 3600, "min": 60}[unit] for n, unit in zip(words[::2], words[1::2], strict=True))
    assert abs(told - seconds) <= 30


def test_a_bill_of_a_month_without_meters_tells_what_it_names_itself(run_under):
    september = {"BillingPeriodStart": "2026-09-01T00:00:00Z", "BillingPeriodEnd": "2026-10-01T00:00:00Z"}
    span = ("2026-09-03T00:00:00Z", "2026-09-03T01:00:00Z")
    named = charge("9", span, TUNING, ServiceName="Amazon SageMaker", **september)
    project = run_under([named, CHARGES[0]], USES)
    (found,) = app.amount_explained(project, period=Period.parse("2026-09"))
    assert [piece.metered.words for piece in found.pieces] == ["the bill names it"]


def a_span(**given):
    parts = {"resource": "arn:aws:x:y/node-1/", "instance_type": None, "family": 1, "alive": Fraction(1)}
    parts |= {"missing": Fraction(0), "capacities": {}, "uses": {}, "seen": {}, "meters": ("meter",)}
    return explain_metered._Span(**parts | given)


def test_a_piece_without_figures_still_names_its_resource():
    idle = {"x_WorkloadKind": "idle", "x_WorkloadId": None}
    full = a_span(capacities={1: (Fraction(5), Fraction(5)), 2: (None, Fraction(1))})
    assert explain_metered._use(idle, full, MeteringConfig()).words == "what rounding left of node-1"
    work = {"x_WorkloadKind": "training_job", "x_WorkloadId": "gone"}
    assert explain_metered._use(work, a_span(), MeteringConfig()).words == "it used node-1"


def test_a_part_without_named_jobs_tells_only_that_the_bill_names_it():
    bare = Part("p", "s", Month(2026, 10), {}, Path())
    assert explain_metered._named(None, None, bare) == {}
    assert explain_metered._named_use({}, None).words == "the bill names it"


def test_very_small_figures_keep_three_digits_and_seconds_are_told_below_a_minute():
    assert figure(Fraction(1, 3000)) == "0.000333"
    assert duration(Fraction(41)) == "41 s"
    assert named_words(Fraction(3600), "ml.m5.large", 0) == "the bill names it: 1 h of ml.m5.large"
    assert named_words(Fraction(3600), None, None) == "the bill names it"


def test_the_volume_of_the_company_is_one_resource(metered):
    assert {piece.metered.resource for piece in pieces(metered, service="EBS")} == {VOLUME}

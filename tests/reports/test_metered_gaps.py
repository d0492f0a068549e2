"""What meters do not know, and how the metered reports say so instead of claiming anything."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.metered_company import (
    CHARGES,
    CONFIG,
    DAY,
    FIFTH,
    MONTH,
    NODE_1,
    NODE_2,
    NODE_3,
    NODE_9,
    VOLUME,
    charge,
    use,
)
from tests.reports.test_metered_reports import ask, build, by_name, metered, rows  # noqa: F401 - fixtures

from apportion import app
from apportion.core.period import Period
from apportion.errors import UnknownName
from apportion.reports.reading.remarks import NO_METER

COMMITMENTS = "Commitments: use --metric EffectiveCost to see what covered hours cost."
SERVED = {"workload_kind": "inference_endpoint", "team": "growth", "resource_id": NODE_1}
ON_GPUS = use(DAY, "ep", "gpu_seconds", 20, unit="gpu_hours", **SERVED)
ON_CORES = use(DAY, "ep", "cpu_core_seconds", 20, unit="cpu_hours", **SERVED)
UNKNOWN_TYPE = {"instance_type": "home-made.1"}


def unsized(project):
    answer = ask(project, "metering-gaps")
    return [row[1:] for row in rows(answer, "gap", *GAP) if row[0] == "size unknown"] if answer.sections else []


GAP = ("resource", "workloads", "hours", "gpu_hours", "cost", "why")


def test_a_machine_of_unknown_size_is_a_gap_with_its_money(build):  # noqa: F811
    ((*figures, why),) = unsized(build(CHARGES[:1], [ON_GPUS | UNKNOWN_TYPE], patchy=[ON_GPUS]))
    assert figures == [NODE_1, 1, 20, 20, 200]
    assert why == (
        "Nobody says how much there is of its GPUs, so none of that counts as idle: "
        'say it in [metering.machines."home-made.1"], or read capacity samples.'
    )


def test_without_an_instance_type_its_meter_has_to_name_it(build):  # noqa: F811
    ((*_, why),) = unsized(build(CHARGES[:1], [ON_GPUS, ON_CORES], patchy=[ON_GPUS]))
    assert why == (
        "Nobody says how much there is of its GPUs and cores, so none of that counts as idle: "
        "let its meter name the instance type, for [metering.machines], or read capacity samples."
    )


SIZE = '\n[metering.machines."home-made.1"]\ngpus = 4\ncpu_cores = 8\nmemory_gib = 16\n'


@pytest.mark.parametrize(
    ("uses", "config"),
    [
        ([ON_GPUS, use(DAY, "", "gpu_seconds", 80, resource_id=NODE_1, unit="gpu_hours")], CONFIG),
        ([ON_GPUS | {"instance_type": "p3.8xlarge"}], CONFIG),
        ([ON_GPUS | UNKNOWN_TYPE], CONFIG + SIZE),
    ],
)
def test_a_capacity_sample_or_a_known_type_is_a_size(build, uses, config):  # noqa: F811
    project = build(CHARGES[:1], uses, patchy=[ON_GPUS], config=config)
    assert unsized(project) == []
    assert by_name(ask(project, "endpoint"), "idle_share")["ep"] == (Decimal("0.75"),)


def test_the_size_of_one_component_says_nothing_of_another(build):  # noqa: F811
    cores = use(DAY, "", "cpu_core_seconds", 160, resource_id=NODE_1, unit="cpu_hours")
    ((*_, why),) = unsized(build(CHARGES[:1], [ON_GPUS, ON_CORES, cores], patchy=[ON_GPUS]))
    assert why.startswith("Nobody says how much there is of its GPUs, so")


def test_beside_an_endpoint_of_a_machine_of_unknown_size_idle_is_not_known(build):  # noqa: F811
    project = build(CHARGES[:1], [ON_GPUS], patchy=[ON_GPUS])
    assert by_name(ask(project, "endpoint"), "cost", "idle_share")["ep"] == (200, None)
    assert ask(project, "idle").notes == (
        "Nothing was idle on any metered resource.",
        "The size of 1 metered machine is not known, so not all that was idle there is seen: see --by metering-gaps.",
    )


def test_no_size_is_wanted_where_workloads_pay_for_idle_time_anyway(build):  # noqa: F811
    project = build(CHARGES[:1], [ON_GPUS], patchy=[ON_GPUS], config=CONFIG + '\n[metering]\nidle = "workloads"\n')
    assert unsized(project) == []
    assert len(ask(project, "idle").notes) == 1


def test_storage_and_tokens_have_no_size(metered):  # noqa: F811
    assert unsized(metered) == []


def overused(project):
    return [row[1:] for row in rows(ask(project, "metering-gaps"), "gap", *GAP) if row[0] == "more used than there is"]


def test_more_use_than_the_machine_has_is_a_gap_with_its_money(build):  # noqa: F811
    slipped = use(DAY, "big", "gpu_seconds", 400, unit="gpu_hours", **SERVED) | {"instance_type": "p4d.24xlarge"}
    ((*figures, why),) = overused(build(CHARGES[:1], [slipped]))
    assert figures == [NODE_1, 1, 20, 400, 200]
    assert why.startswith("Up to 20 GPUs of 8 were held in an hour, so the parts were scaled down: look at quantities")


def test_a_machine_that_is_full_is_no_gap(build):  # noqa: F811
    full = use(DAY, "ep", "gpu_seconds", 8 * 20, unit="gpu_hours", **SERVED) | {"instance_type": "p4d.24xlarge"}
    answer = ask(build(CHARGES[:1], [full]), "metering-gaps")
    assert "more used than there is" not in str(answer.sections)


def test_unmetered_time_is_listed_with_its_hours_and_all_of_its_money(build):  # noqa: F811
    # a licence of the same machine and hours is no further hour; the second machine was seen all the time
    charges = (charge("10", FIFTH, NODE_3), charge("4", FIFTH, NODE_3, ServiceName="Licences"), CHARGES[0])
    project = build(charges)
    keys = ("gap", "resource", "service", "hours", "cost")
    found = [row for row in rows(ask(project, "metering-gaps"), *keys) if row[0] == "unmetered time"]
    assert found == [("unmetered time", NODE_3, "EC2, Licences", 5, 7)]
    assert by_name(ask(project, "job"), "cost")["unmetered"] == (7,)


def test_unmetered_time_under_a_filter_is_that_of_the_chosen_charges(build):  # noqa: F811
    charges = (charge("10", FIFTH, NODE_3), charge("4", FIFTH, NODE_3, ServiceName="Licences"))
    answer = ask(build(charges), "metering-gaps", filters={"service": ("Licences",)})
    assert rows(answer, "gap", "hours", "cost") == [("unmetered time", 5, 2), ("Total", None, 2)]


def test_unmetered_money_of_a_machine_of_unknown_size_is_counted_once(build):  # noqa: F811
    half = use(FIFTH, "j", "gpu_seconds", 5, resource_id=NODE_3, unit="gpu_hours", coverage="0.5")
    found = rows(ask(build(CHARGES[2:3], [half], patchy=[half]), "metering-gaps"), "gap", "cost")
    assert found == [("size unknown", 5), ("unmetered time", 5), ("Total", 10)]


def test_a_filter_that_no_gap_matches_is_no_proof_that_there_is_none(metered):  # noqa: F811
    answer = ask(metered, "metering-gaps", filters={"service": ("Model API",)})
    assert (answer.sections, answer.notes) == ((), ("No gap matches these filters.",))


def test_a_company_without_gaps_is_told_so(build):  # noqa: F811
    sized = [ON_GPUS | {"instance_type": "p3.8xlarge"}]
    answer = ask(build(CHARGES[:1], sized, patchy=sized), "metering-gaps")
    words = "Every metered resource has a charge, and no charge of its like is without usage."
    assert (answer.sections, answer.notes) == ((), (words,))


LOST = "Meters know resources of its kind that no charge is for: compare their ids, or say them in [metering.nodes]."
TYPED = {"ResourceType": "instance"}


def charge_gaps(project, **options):
    answer = ask(project, "metering-gaps", **options)
    found = rows(answer, "gap", "resource", "cost", "why") if answer.sections else []
    return [row[1:] for row in found if row[0] == "charge without usage"]


def lost_job(**said):
    """Use of a machine that the bill knows by another id, if at all."""
    return use(DAY, "lost", "cpu_core_seconds", 20, unit="cpu_hours", workload_kind="training_job", **said)


@pytest.mark.parametrize(
    ("charged", "metered", "others"),
    [(NODE_1, NODE_9, "lb-0000000000000000a"), (f"arn:aws:ec2:x:1:volume/{VOLUME}", "vol-00000000000000009", NODE_2)],
)
def test_a_class_of_ids_that_lost_its_join_is_listed_with_its_money(build, charged, metered, others):  # noqa: F811
    # another class of ids is no like of it, and the machine that joins shows that Compute as such does
    joined = charge("200", DAY, NODE_3, ServiceName="Joined")
    charges = (joined, charge("90", DAY, charged, **TYPED), charge("5", DAY, others, ServiceName="Other"))
    uses = [lost_job(resource_id=metered), ON_CORES | {"resource_id": NODE_3}]
    assert charge_gaps(build(charges, uses, patchy=uses[:1])) == [(charged, 90, LOST)]


@pytest.mark.parametrize("named", [{"provider": "aws"}, {}, {"provider": "elsewhere"}])
def test_compute_of_a_provider_of_which_none_joined_is_listed_with_its_money(build, named):  # noqa: F811
    charges = (
        charge("90", DAY, "machine-a", **TYPED),
        charge("40", DAY, "machine-b", ServiceName="Batch"),
        charge("7", DAY, "bucket", ServiceName="S3", ServiceCategory="Storage"),
        charge("6", DAY, "bought", ChargeCategory="Purchase"),
    )
    uses = [lost_job(node="renamed", **named)]
    project = build(charges, uses, patchy=uses)
    assert charge_gaps(project) == [("machine-a", 90, LOST), ("machine-b", 40, LOST)]
    assert charge_gaps(project, filters={"service": ("Batch",)}) == [("machine-b", 40, LOST)]


def test_compute_of_a_provider_that_no_lost_machine_names_is_not_listed(build):  # noqa: F811
    azure = {"ServiceProviderName": "Microsoft", "ServiceName": "Virtual Machines"}
    charges = (charge("90", DAY, "machine-a"), charge("60", DAY, "machine-b", **azure))
    uses = [lost_job(node="renamed", provider="AWS")]
    assert charge_gaps(build(charges, uses, patchy=uses)) == [("machine-a", 90, LOST)]


def test_where_compute_of_the_provider_joins_the_rest_of_it_is_no_gap(build):  # noqa: F811
    charges = (charge("200", DAY, NODE_1), charge("90", DAY, "machine-a", ServiceName="Batch"))
    uses = [ON_CORES, lost_job(node="renamed", provider="AWS")]
    assert charge_gaps(build(charges, uses, patchy=uses)) == []


def test_storage_that_lost_its_join_says_nothing_of_compute(build):  # noqa: F811
    lost = use(MONTH, "ds", "storage_byte_seconds", 1, workload_kind="data", resource_id="disk")
    assert charge_gaps(build((charge("90", DAY, "machine-a"),), [lost], patchy=[lost])) == []


def test_a_charge_that_joined_is_no_gap_beside_one_of_its_class_that_did_not(build):  # noqa: F811
    charges = (charge("200", DAY, NODE_1), charge("90", DAY, NODE_2, ServiceName="Batch"))
    uses = [ON_CORES, lost_job(resource_id=NODE_9)]
    assert charge_gaps(build(charges, uses, patchy=uses)) == [(NODE_2, 90, LOST)]


def test_meters_of_other_months_are_no_meters_of_this_one(build):  # noqa: F811
    september = {"BillingPeriodStart": "2026-09-01T00:00:00Z", "BillingPeriodEnd": "2026-10-01T00:00:00Z"}
    before = charge("1", ("2026-09-01T00:00:00Z", "2026-09-02T00:00:00Z"), "x", **september)
    project = build((before, CHARGES[0]))
    answer = app.report(project, by="metering-gaps", period=Period.parse("2026-09"))
    assert answer.notes == ("No meter knows anything of 2026-09.",)


def test_without_any_meter_the_pages_to_read_exist():
    from pathlib import Path

    pages = [word.strip(",.") for word in NO_METER.split() if ".md" in word]
    folder = Path(__file__).resolve().parents[2] / "docs" / "how-to"
    assert len(pages) == 6
    assert all((folder / page.removeprefix("docs/how-to/")).is_file() for page in pages)


def test_idle_of_a_team_is_that_of_its_machines(metered):  # noqa: F811
    # no piece of the bill is for serving: it owns a machine that others use
    answer = ask(metered, "idle", filters={"team": ("serving",)})
    assert rows(answer, "resource", "host_team", "idle_cost", "cost") == [
        (NODE_2, "serving", 25, 100),
        ("Total", None, 25, 100),
    ]


def test_idle_of_two_filters_holds_both(metered):  # noqa: F811
    both = {"team": ("serving", "platform"), "service": ("EC2",)}
    assert [row[0] for row in rows(ask(metered, "idle", filters=both), "resource")] == [NODE_1, NODE_2, "Total"]


def test_filters_that_no_idle_cost_matches_are_no_proof_that_nothing_was_idle(metered):  # noqa: F811
    answer = ask(metered, "idle", filters={"team": ("ads",)})
    words = "No idle cost matches these filters; --team is here whose machine it is."
    assert (answer.sections, answer.notes) == ((), (words,))


def test_a_team_that_neither_holds_nor_owns_anything_is_unknown(metered):  # noqa: F811
    with pytest.raises(UnknownName):
        ask(metered, "idle", filters={"team": ("nobody",)})


def key(workload, **said):
    used = {"workload_kind": "api_key", "provider": "OpenAI", "account": "proj-1", "basis": "used"}
    return use(DAY, workload, "requests", 7, **used | said)


def test_endpoints_of_one_name_are_told_apart_by_the_last_part_of_their_ids(build):  # noqa: F811
    uses = [key("openai:a/key-1", name="prod"), key("openai:a/key-2", name="prod"), key("openai:a/key-3", name="own")]
    uses += [key("openai:a/twin", name="other"), key("openai:b/twin", name="other")]
    found = {row[0] for row in rows(ask(build(CHARGES[4:5], uses), "endpoint"), "endpoint")}
    assert found == {"other (openai:a/twin)", "other (openai:b/twin)", "own", "prod (key-1)", "prod (key-2)", "Total"}


def committed(workload_kind):
    spent = charge("0", DAY, NODE_1, EffectiveCost="50")
    on = {"resource_id": NODE_1, "unit": "gpu_hours", "workload_kind": workload_kind}
    return (spent,), [use(DAY, "w", "gpu_seconds", 20, **on)]


@pytest.mark.parametrize(("kind", "by", "other"), [("training_job", "job", "endpoint"), ("api_key", "endpoint", "job")])
def test_where_commitments_pay_the_other_metric_is_named(build, kind, by, other):  # noqa: F811
    charges, uses = committed(kind)
    project = build((*charges, CHARGES[4], charge("9", DAY, NODE_2)), [*uses, key("k")], patchy=uses)
    assert COMMITMENTS in ask(project, by).notes
    assert COMMITMENTS not in ask(project, by, metric="EffectiveCost").notes
    assert COMMITMENTS not in ask(project, other).notes


def test_without_commitments_no_other_metric_is_named(metered):  # noqa: F811
    assert not [note for by in ("job", "endpoint") for note in ask(metered, by).notes if note == COMMITMENTS]


def test_a_training_job_is_an_experiment_only_as_part_of_a_sweep(build):  # noqa: F811
    on = {"resource_id": NODE_1, "unit": "gpu_hours", "environment": "dev", "model": "m"}
    uses = [
        use(DAY, name, "gpu_seconds", 10, **on, **said)
        for name, said in {
            "alone": {"workload_kind": "training_job"},
            "trial": {"workload_kind": "training_job", "parent": "sweep"},
            "step": {"workload_kind": "pipeline_step", "parent": "pipeline"},
            "book": {"workload_kind": "notebook"},
            "batch": {"workload_kind": "batch_inference", "parent": "nightly"},
        }.items()
    ]
    found = by_name(
        ask(build(CHARGES[:1], uses, patchy=uses[:1]), "model-stages"), "experiment", "training", "inference"
    )
    assert found["m"] == (80, 80, 40)


def test_a_note_on_one_piece_speaks_of_one(build):  # noqa: F811
    without = {name: value for name, value in CHARGES[0].items() if name != "ListCost"}
    answer = ask(build((without,), [ON_GPUS], patchy=[ON_GPUS]), "endpoint", metric="ListCost")
    assert "ListCost is missing on at least 1 of 1 piece in USD; it is not in the sums." in answer.notes

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from tests.metering.meters import (
    Charges,
    Meter,
    at,
    divided,
    gpus,
    has_gpus,
    holder,
    hourly,
    job,
    only_parts,
    parts_of,
    rounded,
    used,
    whole,
)
from tests.tagging.bills import config as tag_config
from tests.tagging.bills import rule

from apportion.core.config import Maps, MeteringConfig
from apportion.core.measures import Measure
from apportion.sources.readings.contract import Resource

OTHER = Resource(id="i-other", node="node-2", cluster="east")
DAY = [has_gpus(at(0), at(24), 8)]
"""Eight GPUs, all of the first of October."""


def by_charge(found):
    return {number: rounded(parts_of(shares)) for number, shares in found.items()}


def cpus(work, start, end, count, **given):
    return used(
        work, start, end, Decimal(count) * Decimal((end - start).total_seconds()), Measure.CPU_CORE_SECONDS, **given
    )


# --- owners -----------------------------------------------------------------------------------------------------------


def labelled(name, **labels):
    return job(name, labels=labels)


def test_what_tags_say_of_a_workload_is_known_by_metering(tmp_path):
    meter = Meter([*DAY, gpus(labelled("a", team="risk", model="bert"), at(0), at(1), 8)])
    (share,) = divided(tmp_path, meter, whole(at(0), at(1), tags={"team": "platform"}))[1]
    assert (share["x_Team"], share["x_TeamEvidence"], share["x_TeamRuleId"].split("@")[0]) == ("risk", "T2", "tag:team")
    assert (share["x_Model"], share["x_ModelEvidence"]) == ("bert", "T2")
    assert (share["x_Project"], share["x_ProjectEvidence"]) == ("unallocated", "T5")
    assert (share["x_HostTeam"], share["x_WorkloadKind"]) == ("platform", "training_job")


def test_a_rule_sees_the_namespace_as_resource_group_and_stays_inferred(tmp_path):
    settings = tag_config(
        [rule("by-namespace", {"team": "ads"}, equals={"resource_group": ("east/ads",)})],
        maps=Maps(resource_groups={"east/ads": {"project": "ranking"}}),
    )
    meter = Meter([*DAY, gpus(job("a", namespace="east/ads"), at(0), at(1), 8)])
    (share,) = divided(tmp_path, meter, whole(at(0), at(1)), settings=settings)[1]
    assert (share["x_Team"], share["x_TeamEvidence"], share["x_TeamRuleId"].split("@")[0]) == (
        "ads", "T3", "rule:by-namespace",
    )  # fmt: skip
    assert share["x_Project"] == "ranking"


@pytest.mark.parametrize(
    ("field", "value"),
    [("resource_id", "id-1"), ("resource_name", "my job"), ("resource_type", "training_job")],
)
def test_a_rule_sees_what_a_workload_is(tmp_path, field, value):
    settings = tag_config([rule("r", {"team": "ads"}, equals={field: (value,)})])
    meter = Meter([*DAY, gpus(job("id-1", name="my job"), at(0), at(1), 8)])
    (share,) = divided(tmp_path, meter, whole(at(0), at(1)), settings=settings)[1]
    assert share["x_Team"] == "ads"


def test_a_rule_sees_the_user_as_a_tag(tmp_path):
    settings = tag_config([rule("r", {"team": "ads"}, tags={"user": ("ada",)})])
    meter = Meter([*DAY, gpus(job("a", user="ada"), at(0), at(1), 8)])
    assert divided(tmp_path, meter, whole(at(0), at(1)), settings=settings)[1][0]["x_Team"] == "ads"


def test_a_label_stands_before_what_the_tool_reports(tmp_path):
    known = {"team": "tool", "project": "tool", "environment": "tool", "model": "tool"}
    meter = Meter([*DAY, gpus(job("a", labels={"team": "label"}, **known), at(0), at(1), 8)])
    (share,) = divided(tmp_path, meter, whole(at(0), at(1)))[1]
    assert [share[f"x_{each}"] for each in ("Team", "Project", "Environment", "Model")] == [
        "label",
        "tool",
        "tool",
        "tool",
    ]


def test_a_split_of_a_workload_divides_its_own_part(tmp_path):
    split = rule("half", shares=[(3, {"team": "ads"}), (1, {"team": "risk"})], equals={"resource_id": ("a",)})
    meter = Meter([*DAY, gpus("a", at(0), at(1), 2), gpus("b", at(0), at(1), 2)])
    shares = divided(tmp_path, meter, whole(at(0), at(1)), settings=tag_config([split]))[1]
    found = {
        (holder(each), each["x_Team"]): Fraction(each["x_ShareHigh"] - each["x_ShareLow"], each["x_ShareWhole"])
        for each in shares
    }
    assert found == {
        ("a", "ads"): Fraction(3, 16), ("a", "risk"): Fraction(1, 16), ("b", "unallocated"): Fraction(1, 4),
        ("idle", "idle"): Fraction(1, 2),
    }  # fmt: skip


@pytest.mark.parametrize("idle", ["owner", "keep"])
def test_a_split_of_the_resource_divides_what_is_its_owners(tmp_path, idle):
    split = rule("two", shares=[(1, {"team": "x"}), (1, {"team": "y"})], equals={"service": ("EC2",)})
    meter = Meter([has_gpus(at(0), at(1), 8), gpus("a", at(0), at(1), 4)])
    (used_hour, unseen) = divided(
        tmp_path, meter, hourly(at(0), at(2)), settings=tag_config([split]), metering=MeteringConfig(idle=idle)
    ).values()
    teams = [(holder(each), each["x_Team"]) for each in used_hour if holder(each) == "idle"]
    assert teams == ([("idle", "x"), ("idle", "y")] if idle == "owner" else [("idle", "idle")])
    assert [(holder(each), each["x_Team"]) for each in unseen] == [("unmetered", "x"), ("unmetered", "y")]
    assert {each["x_HostTeam"] for each in (*used_hour, *unseen)} == {"x"}


def test_a_rule_that_begins_on_a_day_holds_for_work_from_that_day(tmp_path):
    begins = rule("new", {"team": "new"}, valid_from=at(0, day=2).date(), equals={"resource_id": ("a",)})
    meter = Meter([has_gpus(at(0), at(0, day=3), 8), gpus("a", at(0), at(0, day=3), 8)])
    charges = Charges([(at(0), at(24)), (at(0, day=2), at(24, day=2))])
    found = divided(tmp_path, meter, charges, settings=tag_config([begins]))
    assert [shares[0]["x_Team"] for shares in found.values()] == ["unallocated", "new"]


@pytest.mark.parametrize("of_the_work", [True, False])
def test_a_rule_that_begins_between_hours_that_are_divided_alike_begins_there(tmp_path, of_the_work):
    """The hours have one division, and for all that two validities."""
    when = {"resource_id": ("a",)} if of_the_work else {"service": ("EC2",)}
    begins = rule("new", {"team": "new"}, valid_from=at(0, day=2).date(), equals=when)
    meter = Meter([has_gpus(at(0), at(0, day=3), 8), gpus("a", at(0), at(0, day=3), 8)])
    found = divided(tmp_path, meter, hourly(at(22), at(26)), settings=tag_config([begins]))
    told = "x_Team" if of_the_work else "x_HostTeam"
    assert [shares[0][told] for shares in found.values()] == ["unallocated"] * 2 + ["new"] * 2


def test_what_no_meter_knows_stays_as_tags_say(tmp_path):
    meter = Meter([*DAY, gpus("a", at(0), at(1), 8)])
    found = divided(
        tmp_path, meter, [whole(at(0), at(1)), whole(at(0), at(1), resource="i-unknown", tags={"team": "x"})]
    )
    assert by_charge(found) == {1: {"a": 1}, 2: {"team:x": 1}}
    assert found[2][0]["x_HostTeam"] is None


def test_several_rows_of_one_resource_are_divided_alike(tmp_path):
    """On demand and spot, discount and fee: several rows of attributes, one machine."""
    meter = Meter([*DAY, gpus("a", at(0), at(1), 2)])
    charges = [whole(at(0), at(1), columns={"ChargeDescription": text}) for text in ("fee", "discount", "tax")]
    assert by_charge(divided(tmp_path, meter, charges)) == {no: {"a": 0.25, "idle": 0.75} for no in (1, 2, 3)}


def test_charges_of_one_row_that_start_together_are_divided_by_the_longer_time(tmp_path):
    meter = Meter([*DAY, gpus("a", at(0), at(1), 8)])
    found = divided(tmp_path, meter, Charges([(at(0), at(1)), (at(0), at(4))]))
    assert by_charge(found) == {no: {"a": 0.25, "idle": 0.75} for no in (1, 2)}


def test_usage_of_a_node_that_no_bill_holds_changes_nothing(tmp_path):
    """Samples for a node that was deleted before the bill, or is another account's: usage without a charge."""
    gone = [gpus("b", at(0), at(1), 4, resource=OTHER), has_gpus(at(0), at(1), 4, resource=OTHER)]
    meter = Meter([*DAY, gpus("a", at(0), at(1), 2)])
    with_gone = Meter([*meter.samples, *gone])
    assert divided(tmp_path / "1", meter, whole(at(0), at(1))) == divided(
        tmp_path / "2", with_gone, whole(at(0), at(1))
    )


def test_a_node_in_two_clusters_is_divided_among_the_work_of_both(tmp_path):
    west = Resource(id="i-0abc", node="n9", cluster="west")
    meter = Meter([has_gpus(at(0), at(1), 8), has_gpus(at(0), at(1), 8, resource=west), gpus("a", at(0), at(1), 2),
                   gpus("b", at(0), at(1), 4, resource=west)])  # fmt: skip
    assert only_parts(tmp_path, meter, whole(at(0), at(1))) == {"a": 0.25, "b": 0.5, "idle": 0.25}


def test_no_meter_at_all_leaves_everything_as_tags_say(tmp_path):
    assert only_parts(tmp_path, [], whole(at(0), at(1), tags={"team": "x"})) == {"team:x": 1}


@pytest.mark.parametrize("threads", [1, 3])
def test_the_order_of_samples_and_threads_change_no_share(tmp_path, threads):
    samples = [*DAY, *(gpus(f"job-{no}", at(no), at(no + 5), 1) for no in range(9)), cpus("x", at(0), at(9), 3)]
    charges = [hourly(at(0), at(10)), whole(at(0), at(24), tags={"team": "x"})]
    one = divided(tmp_path / "one", Meter(samples), charges)
    assert divided(tmp_path / "two", Meter(samples[::-1]), charges, threads=threads) == one

from __future__ import annotations

import pyarrow as pa
import pytest
from tests.metering.meters import (
    Meter,
    at,
    divided,
    gpus,
    holder,
    job,
    only_parts,
    parts_of,
    rounded,
    session,
    used,
    whole,
)
from tests.tagging.bills import row, write

from apportion.core import tables
from apportion.core.arrow import schema
from apportion.core.config import MeteringConfig
from apportion.core.measures import Basis
from apportion.metering.matching import MATCHES
from apportion.sources.readings.contract import Resource

ARN = "arn:aws:ec2:eu-west-1:111:instance/i-0abc"
AZURE = "/subscriptions/S/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/Node-1"


def work_on(*resources):
    """A job on each resource, numbered from 1."""
    return Meter(
        [used(job(f"job-{no}"), at(0), at(1), 3600, resource=one, row=no) for no, one in enumerate(resources, 1)]
    )


def levels(folder, resources, charge):
    """(level, how many resources match) of the charge's row; empty where none does."""
    rows = [
        {"x_ResourceNo": no, "x_MeteredId": one.id, "x_Node": one.node, "x_Account": one.account, "x_Family": 1}
        for no, one in enumerate(resources, 1)
    ]
    with session() as db:
        db.read_parquet("attributes", [write(folder, [row(ResourceId=charge.resource, **charge.columns)])])
        db.register("resources", pa.Table.from_pylist(rows, schema(tables.RESOURCES)))
        db.run(MATCHES)
        return db.rows("SELECT level, candidates FROM matches")


def billed(resource, name=None, **columns):
    return whole(at(0), at(1), resource=resource, tags={"team": "t"}, columns={"ResourceName": name, **columns})


@pytest.mark.parametrize(
    ("metered", "bill", "level"),
    [
        (Resource(id="i-0abc"), billed("i-0abc"), 1),
        (Resource(id="I-0ABC"), billed("i-0AbC"), 1),
        (Resource(id=ARN), billed(ARN), 1),
        (Resource(id="i-0abc"), billed(ARN), 2),
        (Resource(id=ARN), billed("i-0abc"), 2),
        (Resource(id="aws:///eu-west-1a/i-0abc"), billed(ARN), 2),
        (Resource(node="node-1"), billed(AZURE), 2),
        (Resource(node="node-1"), billed("i-9", "Node-1"), 3),
        (Resource(id="i-0abc", node="node-1"), billed("i-9", "node-1"), 3),
        (Resource(id="disk-7"), billed("x", "disk-7"), 3),
        (Resource(account="Proj-1", provider="openai"), billed(None, SubAccountId="proj-1"), 4),
    ],
    ids=[
        *("id", "case", "arn", "end-of-arn", "end-of-meters-id", "both-ends", "node-in-id", "name", "name-of-id"),
        *("id-as-name", "account"),
    ],
)
def test_the_first_level_on_which_they_meet_joins_bill_and_meter(tmp_path, metered, bill, level):
    assert levels(tmp_path, [metered], bill) == [(level, 1)]


@pytest.mark.parametrize(
    ("metered", "bill"),
    [
        (Resource(id="i-0abc"), billed("i-0abcd")),
        (Resource(id="i-0abc", account="a"), billed(None, SubAccountId="a")),
        (Resource(node="n", account="a"), billed(None, SubAccountId="a")),
        (Resource(account="a"), billed("i-1", SubAccountId="a")),
        (Resource(account="a"), billed(None, SubAccountId="b")),
        (Resource(), billed("i-0abc")),
        (Resource(id="x"), billed(None)),
        (Resource(id="a/"), billed("b/")),
    ],
    ids=["longer", "id-has-no-account", "node-has-no-account", "bill-has-resource", "other-account", "nothing", "no-id",
         "ends-in-a-stroke"],
)  # fmt: skip
def test_what_only_looks_alike_is_not_joined(tmp_path, metered, bill):
    assert levels(tmp_path, [metered], bill) == []


def test_a_better_level_leaves_the_others_out_of_account(tmp_path):
    """The name would match another machine, the id says which one it is."""
    resources = Resource(id="i-0abc"), Resource(node="node-1", cluster="east")
    assert levels(tmp_path, resources, billed(ARN, "node-1")) == [(2, 1)]
    assert only_parts(tmp_path / "x", work_on(*resources), billed(ARN, "node-1")) == {"job-1": 1}


def test_a_text_that_matches_two_resources_belongs_to_neither_and_is_listed(tmp_path):
    resources = Resource(node="node-1", cluster="east"), Resource(node="node-1", cluster="west")
    assert levels(tmp_path, resources, billed("i-9", "node-1")) == [(3, 2)]
    assert only_parts(tmp_path / "x", work_on(*resources), billed("i-9", "node-1")) == {"team:t": 1}


def test_a_configured_node_is_joined_by_the_id_it_is_given(tmp_path):
    node = Resource(node="ip-10-0-0-1", cluster="east")
    config = MeteringConfig(nodes={"ip-10-0-0-1": "i-0abc"})
    assert levels(tmp_path, [node], billed(ARN)) == []
    assert only_parts(tmp_path / "x", work_on(node), billed(ARN), metering=config) == {"job-1": 1}


def test_a_node_that_one_meter_knows_by_id_is_that_resource_for_every_meter(tmp_path):
    both = work_on(Resource(node="ip-10-0-0-1", cluster="east"), Resource(id="i-0abc", node="ip-10-0-0-1"))
    assert only_parts(tmp_path, both, billed(ARN)) == {"job-1": 0.5, "job-2": 0.5}


def test_nodes_of_one_name_in_two_clusters_are_two_even_where_one_has_an_id(tmp_path):
    two = work_on(
        Resource(id="i-0abc", node="node-1", cluster="east"),
        Resource(node="node-1", cluster="west"),
    )
    assert only_parts(tmp_path, two, billed(ARN)) == {"job-1": 1}


def test_a_node_is_configured_with_its_cluster_where_names_repeat(tmp_path):
    two = work_on(Resource(node="node-1", cluster="east"), Resource(node="node-1", cluster="west"))
    config = MeteringConfig(nodes={"west/node-1": "i-0abc"})
    assert only_parts(tmp_path, two, billed(ARN), metering=config) == {"job-2": 1}


def test_a_node_name_that_stands_for_two_machines_is_neither(tmp_path):
    several = work_on(
        Resource(node="node-1", cluster="south"),
        Resource(id="i-0abc", node="node-1", cluster="east"),
        Resource(id="i-0def", node="node-1", cluster="west"),
    )
    assert only_parts(tmp_path, several, billed(ARN)) == {"job-2": 1}


def test_a_configured_node_is_the_resource_that_another_meter_knows_by_id(tmp_path):
    meter = work_on(Resource(node="ip-10-0-0-1", cluster="east"), Resource(id="i-0abc", node="ip-10-0-0-1"))
    config = MeteringConfig(nodes={"ip-10-0-0-1": "i-0abc"})
    assert only_parts(tmp_path, meter, billed(ARN), metering=config) == {"job-1": 0.5, "job-2": 0.5}


def test_a_machine_that_no_work_was_seen_on_is_idle(tmp_path):
    meter = Meter([used(None, at(0), at(1), 8, basis=Basis.CAPACITY)])
    assert only_parts(tmp_path, meter, billed("i-0abc")) == {"idle": 1}


def test_the_charges_of_several_resources_are_divided_each_by_its_own_work(tmp_path):
    meter = Meter([gpus("a", at(0), at(1), 1), gpus("b", at(0), at(1), 1, resource=Resource(id="vol-1"))])
    found = divided(tmp_path, meter, [billed("i-0abc"), billed("arn:x:volume/vol-1"), billed("i-other")])
    assert [rounded(parts_of(shares)) for shares in found.values()] == [{"a": 1}, {"b": 1}, {"team:t": 1}]
    assert holder(found[3][0]) == "team:t"


def test_a_node_may_be_named_by_its_very_id(tmp_path):
    both = work_on(Resource(id="i-0abc"), Resource(node="i-0abc", cluster="slurm"))
    assert only_parts(tmp_path, both, billed(ARN)) == {"job-1": 0.5, "job-2": 0.5}

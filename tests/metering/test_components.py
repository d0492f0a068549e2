from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from tests.metering.meters import (
    Meter,
    at,
    divided,
    gpus,
    has_gpus,
    holder,
    hourly,
    only_parts,
    parts_of,
    rounded,
    side_by_side,
    used,
    whole,
)

from apportion.core.config import ComponentWeights, MachineSize, MeteringConfig
from apportion.core.measures import Basis, Measure
from apportion.errors import UnknownName
from apportion.metering.weights import SHIPPED
from apportion.sources.readings.contract import Resource

GIB = 2**30
DAY = [has_gpus(at(0), at(24), 8)]
"""Eight GPUs, all of the first of October."""


def cpus(work, start, end, count, **given):
    return used(
        work, start, end, Decimal(count) * Decimal((end - start).total_seconds()), Measure.CPU_CORE_SECONDS, **given
    )


def memory(work, start, end, gib, **given):
    size = Decimal(gib) * GIB * Decimal((end - start).total_seconds())
    return used(work, start, end, size, Measure.MEMORY_BYTE_SECONDS, **given)


# --- components -------------------------------------------------------------------------------------------------------

MACHINE = Resource(id="i-0abc", node="node-1", instance_type="test.large")
SIZE = MachineSize(gpus=4, cpu_cores=16, memory_bytes=64 * GIB)


def test_components_weigh_by_size_and_price_and_each_is_divided_by_use(tmp_path):
    config = MeteringConfig(machines={"test.large": SIZE})
    meter = Meter([gpus("a", at(0), at(1), 1, resource=MACHINE), cpus("b", at(0), at(1), 8, resource=MACHINE),
                   memory("b", at(0), at(1), 16, resource=MACHINE)])  # fmt: skip
    gpu, cpu, mem = 4 * 950_000, 16 * 31_611, 64 * 4_237
    worth = gpu + cpu + mem
    expected = {"a": gpu / 4 / worth, "b": (cpu / 2 + mem / 4) / worth}
    expected["idle"] = 1 - sum(expected.values())
    assert only_parts(tmp_path, meter, whole(at(0), at(1)), metering=config) == {
        name: round(part, 11) for name, part in expected.items()
    }


def test_what_nobody_measured_gives_its_weight_to_the_rest(tmp_path):
    config = MeteringConfig(machines={"test.large": SIZE})
    meter = Meter([gpus("a", at(0), at(1), 1, resource=MACHINE)])
    assert only_parts(tmp_path, meter, whole(at(0), at(1)), metering=config) == {"a": 0.25, "idle": 0.75}


WEIGHTED = {name: (each.gpu, each.cpu, each.memory) for name, each in SHIPPED.items()} | {"mine": (1, 2, 3)}


@pytest.mark.parametrize("name", sorted(WEIGHTED))
def test_a_weight_set_decides_what_components_weigh(tmp_path, name):
    config = MeteringConfig(
        weights=name, machines={"test.large": SIZE}, weight_sets={"mine": ComponentWeights(1, 2, 3, "test")}
    )
    meter = Meter([gpus("g", at(0), at(1), 4, resource=MACHINE), cpus("c", at(0), at(1), 16, resource=MACHINE),
                   memory("m", at(0), at(1), 64, resource=MACHINE)])  # fmt: skip
    worth = [weight * size for weight, size in zip(WEIGHTED[name], (4, 16, 64), strict=True)]
    expected = {key: round(each / sum(worth), 11) for key, each in zip("gcm", worth, strict=True) if each}
    assert only_parts(tmp_path, meter, whole(at(0), at(1)), metering=config) == expected


def test_a_machine_type_may_have_weights_of_its_own(tmp_path):
    config = MeteringConfig(
        machines={"test.large": SIZE}, machine_weights={"test.large": ComponentWeights(0, 1_000_000, 0, "test")}
    )
    meter = Meter([gpus("g", at(0), at(1), 4, resource=MACHINE), cpus("c", at(0), at(1), 8, resource=MACHINE)])
    assert only_parts(tmp_path, meter, whole(at(0), at(1)), metering=config) == {"c": 0.5, "idle": 0.5}


def test_where_nothing_measured_weighs_anything_all_components_are_alike(tmp_path):
    config = MeteringConfig(weights="gpu-only", machines={"test.large": SIZE})
    meter = Meter([cpus("c", at(0), at(1), 16, resource=MACHINE), memory("m", at(0), at(1), 32, resource=MACHINE)])
    assert only_parts(tmp_path, meter, whole(at(0), at(1)), metering=config) == {"c": 0.5, "m": 0.25, "idle": 0.25}


def test_an_unknown_weight_set_is_refused_by_name(tmp_path):
    with pytest.raises(UnknownName, match="nosuch") as refused:
        only_parts(
            tmp_path,
            Meter([gpus("a", at(0), at(1), 1)]),
            whole(at(0), at(1)),
            metering=MeteringConfig(weights="nosuch"),
        )
    assert "opencost" in str(refused.value.fix)


# --- sizes ------------------------------------------------------------------------------------------------------------


def test_the_size_of_a_machine_is_known_by_its_type(tmp_path):
    typed = Resource(id="i-0abc", instance_type="p4d.24xlarge")
    meter = Meter([gpus("a", at(0), at(1), 2, resource=typed)])
    assert only_parts(tmp_path, meter, whole(at(0), at(1))) == {"a": 0.25, "idle": 0.75}


def test_the_configured_size_stands_before_the_known_one(tmp_path):
    typed = Resource(id="i-0abc", instance_type="p4d.24xlarge")
    meter = Meter([gpus("a", at(0), at(1), 2, resource=typed)])
    config = MeteringConfig(machines={"p4d.24xlarge": MachineSize(4, 96, 1152 * GIB)})
    assert only_parts(tmp_path, meter, whole(at(0), at(1)), metering=config) == {"a": 0.5, "idle": 0.5}


def test_what_a_meter_says_of_the_size_stands_before_both(tmp_path):
    typed = Resource(id="i-0abc", instance_type="p4d.24xlarge")
    meter = Meter([has_gpus(at(0), at(1), 16, resource=typed), gpus("a", at(0), at(1), 2, resource=typed)])
    config = MeteringConfig(machines={"p4d.24xlarge": MachineSize(4, 96, 1152 * GIB)})
    assert only_parts(tmp_path, meter, whole(at(0), at(1)), metering=config) == {"a": 0.125, "idle": 0.875}


def test_of_what_two_meters_say_of_the_size_the_most_counts(tmp_path):
    meters = [
        Meter([gpus("a", at(0), at(1), 2), has_gpus(at(0), at(1), 4)], "m"),
        Meter([has_gpus(at(0), at(1), 8)], "n"),
    ]
    assert only_parts(tmp_path, meters, whole(at(0), at(1))) == {"a": 0.25, "idle": 0.75}


@pytest.mark.parametrize("known", [None, "nobody.knows"])
def test_a_machine_of_unknown_size_is_as_large_as_its_use(tmp_path, known):
    here = Resource(id="i-0abc", instance_type=known)
    meter = Meter([gpus("a", at(0), at(1), 2, resource=here), gpus("b", at(0), at(1), 6, resource=here)])
    assert only_parts(tmp_path, meter, whole(at(0), at(1))) == {"a": 0.25, "b": 0.75}


def test_more_used_than_there_is_is_scaled_and_never_cut_off(tmp_path):
    meter = Meter([has_gpus(at(0), at(1), 8), gpus("a", at(0), at(1), 12), gpus("b", at(0), at(1), 4)])
    assert only_parts(tmp_path, meter, whole(at(0), at(1))) == {"a": 0.75, "b": 0.25}


def test_slices_of_a_card_add_up_to_the_card(tmp_path):
    slices = [gpus(f"mig-{no}", at(0), at(1), Decimal(size) / 7) for no, size in enumerate((1, 2, 4))]
    found = parts_of(divided(tmp_path, Meter([has_gpus(at(0), at(1), 1), *slices]), whole(at(0), at(1)))[1])
    assert sum(found.values()) == 1
    for no, size in enumerate((1, 2, 4)):
        assert abs(found[f"mig-{no}"] - Fraction(size, 7)) < Fraction(1, 10**12)


def test_a_small_part_is_exact_to_a_billionth_of_itself(tmp_path):
    """A third of a GPU for ten seconds of an hour of eight."""
    start = at(0, minute=20)
    tiny = gpus("tiny", start, start + timedelta(seconds=10), Decimal(1) / 3)
    found = parts_of(divided(tmp_path, Meter([has_gpus(at(0), at(1), 8), tiny]), whole(at(0), at(1)))[1])
    exact = Fraction(10, 3 * 3600 * 8)
    assert abs(found["tiny"] - exact) / exact < Fraction(1, 10**9)


@pytest.mark.parametrize("idle", ["keep", "owner", "workloads"])
def test_idle_stays_or_goes_to_the_owner_or_to_those_who_worked(tmp_path, idle):
    meter = Meter([*DAY, gpus("a", at(0), at(1), 1), gpus("b", at(0), at(1), 3)])
    (shares, later) = divided(
        tmp_path, meter, hourly(at(0), at(2), tags={"team": "platform"}), metering=MeteringConfig(idle=idle)
    ).values()
    if idle == "workloads":
        assert rounded(parts_of(shares)) == {"a": 0.25, "b": 0.75}
    else:
        assert rounded(parts_of(shares)) == {"a": 0.125, "b": 0.375, "idle": 0.5}
    (alone,) = later
    owner = "platform" if idle == "owner" else "idle"
    assert (holder(alone), alone["x_Team"]) == ("idle", owner)
    assert (alone["x_HostTeam"], alone["x_TeamEvidence"]) == ("platform", "T1" if idle == "owner" else "T2")
    assert alone["x_TeamRuleId"].startswith("metering:idle@") == (idle != "owner")


@pytest.mark.parametrize(
    ("basis", "expected"),
    [("max", {"a": 0.5, "b": 0.375}), ("requested", {"a": 0.5, "b": 0.125}), ("used", {"a": 0.25, "b": 0.375})],
)
def test_the_basis_says_which_of_requested_and_used_counts(tmp_path, basis, expected):
    def both(work, asked, took):
        return [gpus(work, at(0), at(1), asked), gpus(work, at(0), at(1), took, basis=Basis.USED)]

    found = only_parts(
        tmp_path,
        Meter([*DAY, *both("a", 4, 2), *both("b", 1, 3)]),
        whole(at(0), at(1)),
        metering=MeteringConfig(basis=basis),
    )
    assert found == {**expected, "idle": 1 - sum(expected.values())}


@pytest.mark.parametrize("basis", ["max", "requested", "used"])
def test_any_basis_takes_what_there_is(tmp_path, basis):
    cases = {
        only: [has_gpus(at(0), at(1), 8), gpus("a", at(0), at(1), 2, basis=only)]
        for only in (Basis.REQUESTED, Basis.USED, Basis.ESTIMATED)
    }
    found = side_by_side(tmp_path, cases, metering=MeteringConfig(basis=basis))
    assert list(found.values()) == [{"a": 0.25, "idle": 0.75}] * 3


def test_an_estimate_counts_only_where_nothing_was_counted(tmp_path):
    meter = Meter([*DAY, gpus("a", at(0), at(1), 2), gpus("a", at(0), at(1), 8, basis=Basis.ESTIMATED)])
    assert only_parts(tmp_path, meter, whole(at(0), at(1))) == {"a": 0.25, "idle": 0.75}

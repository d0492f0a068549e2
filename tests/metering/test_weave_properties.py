"""`metering.shares.weave` against an independent account in fractions, on random small clusters and bills."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.metering.meters import Charges, Meter, at, divided, holder, hourly, parts_of, used
from tests.metering.reference import Rules, divide
from tests.tagging.bills import config as tag_config
from tests.tagging.bills import rule

from apportion.core.config import ComponentWeights, MachineSize, MeteringConfig
from apportion.core.measures import Basis, Measure
from apportion.sources.readings.contract import Resource

GIB = 2**30
NEAR = Fraction(1, 10**12)
MACHINES = [Resource(id=f"i-{no}", node=f"node-{no}", cluster="east") for no in range(3)]
SIZED = [Resource(id=f"i-{no}", node=f"node-{no}", cluster="east", instance_type="test") for no in range(3)]
SCALE = {Measure.GPU_SECONDS: 8, Measure.CPU_CORE_SECONDS: 96, Measure.MEMORY_BYTE_SECONDS: 1152 * GIB}
ODD = rule("odd", shares=[(1, {"team": "x"}), (2, {"team": "y"})], equals={"resource_id": ("job-1",)})

QUICK = settings(
    max_examples=8,
    phases=(Phase.generate,),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

minutes = st.integers(0, 36 * 60).map(lambda count: at(0) + timedelta(minutes=count))
weights = st.builds(ComponentWeights, *[st.integers(0, 10**9)] * 3, source=st.just("test"))


@st.composite
def samples(draw, here):
    """One sample of one machine: of a job with a key of its own, or of what there was."""
    start = draw(minutes)
    end = start + timedelta(minutes=draw(st.integers(1, 30 * 60)))
    measure = draw(st.sampled_from(list(SCALE)))
    seconds = int((end - start).total_seconds())
    coverage = Decimal(draw(st.sampled_from(["1", "1", "0.5", "0.1234"])))
    if draw(st.integers(0, 3)) == 0:
        quantity = SCALE[measure] * seconds * coverage
        return used(None, start, end, quantity, measure, basis=Basis.CAPACITY, resource=here, coverage=coverage)
    size = Decimal(draw(st.integers(0, 16))) / draw(st.sampled_from([1, 4, 16, 64]))
    basis = draw(st.sampled_from([Basis.REQUESTED, Basis.USED, Basis.ESTIMATED]))
    work = f"job-{draw(st.integers(1, 4))}"
    return used(
        work, start, end, size * SCALE[measure] * seconds, measure, basis=basis, resource=here, coverage=coverage
    )


@st.composite
def worlds(draw):
    """Samples of three machines, rules of metering, and charges of every time and length."""
    machines = draw(st.sampled_from([MACHINES, SIZED]))
    found = draw(st.lists(st.sampled_from(machines).flatmap(samples), min_size=1, max_size=14))
    # a key of its own for each: that things of one key count once at a time is shown by other tests
    keyed = [used_with_key(one, no) for no, one in enumerate(found)]
    metering = MeteringConfig(
        basis=draw(st.sampled_from(["max", "requested", "used"])),
        idle=draw(st.sampled_from(["keep", "owner", "workloads"])),
        weights="drawn",
        weight_sets={"drawn": draw(weights)},
        machines={"test": MachineSize(8, 96, 1152 * GIB)},
    )
    times = st.builds(lambda start, long: (start, start + timedelta(minutes=long)), minutes, st.integers(1, 48 * 60))
    odd = st.lists(times, min_size=1, max_size=4, unique_by=lambda time: time[0])
    by_the_hour = st.integers(0, 30).map(lambda first: hourly(at(first), at(first + 8)).times)
    charges = [Charges(draw(st.one_of(odd, by_the_hour)), machine.id) for machine in machines]
    return keyed, metering, charges, machines


def used_with_key(sample, no):
    """The sample with a key, its quantity in whole seconds so that nothing is rounded on the way in."""
    parts = {"resource": sample.resource, "basis": sample.basis, "coverage": sample.coverage, "row": no + 1}
    return used(sample.workload, sample.start, sample.end, sample.quantity, sample.measure, key=f"key-{no}", **parts)


@QUICK
@given(worlds(), st.randoms(use_true_random=False))
def test_every_part_is_what_an_account_in_fractions_says(tmp_path_factory, world, chance):
    found_samples, metering, charges, machines = world
    folder = tmp_path_factory.mktemp("woven")
    config = tag_config([ODD])
    found = divided(folder / "one", Meter(found_samples), charges, metering=metering, settings=config)
    drawn = metering.weight_sets["drawn"]
    size = {"gpu": 8, "cpu": 96, "memory": 1152 * GIB} if machines is SIZED else {}
    rules = Rules({"gpu": drawn.gpu, "cpu": drawn.cpu, "memory": drawn.memory}, size, metering.basis, metering.idle)
    number = 0
    for charge, machine in zip(charges, machines, strict=True):
        here = [one for one in found_samples if one.resource == machine]
        elsewhere = [one for one in found_samples if one.resource != machine]
        for start, end in charge.times:
            number += 1
            expected = divide(start, end, here, elsewhere, rules) or {"team:unallocated": Fraction(1)}
            parts = parts_of(found[number])
            for name in expected.keys() | parts.keys():
                assert abs(parts.get(name, 0) - expected.get(name, 0)) <= NEAR, (name, parts, expected)
            _split_holds(found[number])
    shuffled = chance.sample(found_samples, len(found_samples))
    assert divided(folder / "two", Meter(shuffled), charges, metering=metering, settings=config, threads=2) == found


def _split_holds(shares):
    """The rule `odd` gives a third of its job to one team and two to the other."""
    sizes = {each["x_Team"]: each["x_ShareHigh"] - each["x_ShareLow"] for each in shares if holder(each) == "job-1"}
    if sizes:
        assert abs(sizes.get("y", 0) - 2 * sizes.get("x", 0)) <= 2

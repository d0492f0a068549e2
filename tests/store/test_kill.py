"""kill -9 at any moment: what was acknowledged stays, what is visible is whole."""

from __future__ import annotations

import random
import time

from tests.store import deliveries
from tests.store.conftest import lines_of

from apportion.store import open_store

SEED = 20261001
KILLS = 25


def kill_while_publishing(started, answered, target, *, seed):
    """Kill a publishing process again and again; yields the acknowledgements after each kill."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    before = 0
    while True:
        process, acknowledged = started(target)
        before = len(answered(acknowledged, before))
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        process.join()
        before = len(lines_of(acknowledged))
        yield lines_of(acknowledged)


def test_a_killed_publish_leaves_the_old_state_or_the_new_one(state, started, answered):
    kills = kill_while_publishing(started, answered, deliveries.publish_for_ever, seed=SEED)
    for _, acknowledged in zip(range(KILLS), kills, strict=False):
        with open_store(state) as store:
            first, second = deliveries.generations(store)
            assert first == second
            assert first - int(acknowledged[-1]) in {0, 1}
            deliveries.assert_whole(store)
    with open_store(state) as store:
        assert len(store.snapshots(deliveries.A)) == deliveries.generations(store)[0]
        store.collect(grace=0)
        kept = {folder.name for folder in (state / "lake" / "snapshots").iterdir()}
        assert kept == {s.id for scope in deliveries.PAIR for s in store.snapshots(scope)}
        assert list((state / "tmp").iterdir()) == []


def test_the_kill_test_sees_a_publish_in_two_transactions(state, started, answered):
    kills = kill_while_publishing(started, answered, deliveries.publish_carelessly_for_ever, seed=SEED)
    for _, _acknowledged in zip(range(KILLS), kills, strict=False):
        with open_store(state) as store:
            first, second = deliveries.generations(store)
        if first != second:
            return
    raise AssertionError("half a publish was never seen: the kills come too late or too early")


def test_a_reader_never_sees_half_of_a_publish(state, store, started, answered):
    _, acknowledged = started(deliveries.publish_for_ever)
    answered(acknowledged)
    seen = set()
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        first, second = deliveries.generations(store)
        assert first == second
        seen.add(first)
    assert len(seen) > 3


def test_the_reader_test_sees_a_publish_in_two_transactions(store, started, answered):
    _, acknowledged = started(deliveries.publish_carelessly_for_ever)
    answered(acknowledged)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if len(set(deliveries.generations(store))) == 2:
            return
    raise AssertionError("half a publish was never seen")

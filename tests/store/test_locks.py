"""One writer, any number of readers, and what dead processes leave."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

import pytest
from tests.store import deliveries

from apportion.errors import Busy, NotStored
from apportion.store import locks, open_store


def test_a_second_writer_is_told_the_pid_of_the_first(state, store, started, answered):
    process, acknowledged = started(deliveries.hold_the_lock_for_ever)
    answered(acknowledged)
    with pytest.raises(Busy) as caught:
        store.publish_snapshots(deliveries.pair(store, 1))
    assert str(caught.value) == (
        f"Process {process.pid} is writing to the project in {state}. Wait until it has ended and try again."
    )
    assert store.current_snapshots() == ()


def test_readers_and_new_stores_do_not_wait_for_a_writer(state, store, started, answered):
    store.publish_snapshots(deliveries.pair(store, 1))
    _, acknowledged = started(deliveries.hold_the_lock_for_ever)
    answered(acknowledged)
    with open_store(state) as reader:
        assert deliveries.generations(reader) == (1, 1)


def test_a_killed_writer_leaves_no_lock_and_its_staging_is_swept_at_the_next_opening(state, started, answered):
    process, acknowledged = started(deliveries.hold_the_lock_for_ever)
    answered(acknowledged)
    with open_store(state):
        assert len(list((state / "tmp").glob("*.lock"))) == 1
    process.kill()
    process.join()
    with open_store(state) as store:
        assert list((state / "tmp").iterdir()) == []
        store.publish_snapshots(deliveries.pair(store, 1))


def test_two_stores_of_one_process_are_two_writers(state, store):
    with open_store(state) as other, other.writing():
        with pytest.raises(Busy, match=f"Process {os.getpid()} is writing"):
            store.save_problems("aws", [])
        other.save_problems("aws", [])
    store.save_problems("aws", [])


def test_a_writer_that_has_not_yet_told_its_pid_is_another_process(state, store):
    handle = locks.try_lock(state / "write.lock")
    os.truncate(handle, 0)
    with pytest.raises(Busy, match="Another process is writing"):
        store.save_problems("aws", [])
    locks.unlock(handle)


def test_staging_of_an_open_store_survives_other_openings_and_goes_when_it_closes(state):
    with open_store(state) as store:
        folder = store.stage()
        with open_store(state) as other:
            assert other.collect(grace=0) == ()
        assert folder.is_dir()
    assert list((state / "tmp").iterdir()) == []


def test_a_lone_lock_file_is_swept_once_it_is_old(state, store):
    (state / "tmp").mkdir()
    young, old = state / "tmp" / "1.lock", state / "tmp" / "2.lock"
    young.touch()
    old.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    with open_store(state):
        assert list((state / "tmp").iterdir()) == [young]


def test_four_processes_may_make_the_same_project_at_once(started, answered):
    acknowledged = [started(deliveries.open_and_publish_once, f"ack{n}")[1] for n in range(4)]
    assert [answered(each) for each in acknowledged] == [["0"]] * 4


def test_a_file_system_without_locks_is_a_clean_error(store, monkeypatch):
    def refuse(_handle, _how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    handles = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", refuse)
        with pytest.raises(NotStored, match=r"write\.lock: No locks available\."):
            store.save_problems("aws", [])
    assert len(list(Path("/proc/self/fd").iterdir())) == handles

from __future__ import annotations

import hashlib
import shutil
from decimal import Decimal

import pytest
from tests.company import CONFIG, OCTOBER, bill
from tests.company import write_company as write_tiny
from tests.metered_company import CONFIG as METERED
from tests.metered_company import MIXED_CHARGES, MIXED_USES, NODE_1, use, write_company
from tests.proposals import (
    ALL_WORK,
    BOTH,
    BY_CORE,
    HALVES,
    MAPS,
    NETWORK,
    TAGS,
    UNITS,
    adopted,
    asked,
    by_owner,
    moved,
)

from apportion import app
from apportion.app.proposing import proposed
from apportion.core.config_file import parse_config
from apportion.core.money import quanta
from apportion.core.period import Period
from apportion.errors import DamagedFile, NoData, NotConserved
from apportion.ledger.lenses import Lens
from apportion.ledger.whatif import NAMES, SETTINGS, compared, replay, rule_changes, with_settings

OCTOBER_ONLY = Period.parse("2026-10")


def hashes(state):
    files = (path for path in state.rglob("*") if path.is_file() and "tmp" not in path.relative_to(state).parts)
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The small company, allocated; as nothing is stored, all tests may ask it."""
    folder = write_tiny(tmp_path_factory.mktemp("whatif") / "tiny")
    with app.open_project(folder) as project:
        app.ingest(project)
        app.run(project)
        yield project


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """1 GPU and 10 cores for 100 USD: risk has the GPU, ads the cores; 5 USD of data are not metered."""
    folder = write_company(tmp_path_factory.mktemp("whatif") / "mixed", MIXED_CHARGES, MIXED_USES)
    with app.open_project(folder) as project:
        app.ingest(project)
        app.run(project)
        yield project


@pytest.fixture
def copied(tmp_path):
    """A function that copies an allocated project's folder, for what changes it."""

    def copy(project):
        return shutil.copytree(project.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("tmp"))

    return copy


def test_a_changed_split_and_a_new_rule_move_what_a_controller_would_move(tiny):
    found = asked(tiny, HALVES)
    assert by_owner(found) == {
        "platform": (Decimal(20), Decimal("27.5")),
        "unallocated": (Decimal("7.5"), 0),
        "growth": (Decimal("30.006"), Decimal("30.005")),
        "risk": (Decimal("165.004"), Decimal("165.005")),
    }
    assert [each.owner for each in found.owners] == ["platform", "unallocated", "growth", "risk"]
    assert found.owners[0].change == Decimal("7.5")
    assert [(each.kind, each.id, each.fate) for each in found.rules] == [
        ("rule", "shared-endpoint", "changed"),
        ("rule", "support", "new"),
    ]
    assert found.rules[0].before
    assert found.rules[0].before != found.rules[0].after
    assert (found.rules[1].before, bool(found.rules[1].after)) == (None, True)


def test_only_the_months_asked_for_count(tiny):
    assert by_owner(asked(tiny, HALVES, period=OCTOBER_ONLY))["risk"] == (Decimal("95.004"), Decimal("95.005"))
    assert by_owner(asked(tiny, HALVES, period=None)) == by_owner(asked(tiny, HALVES, period=OCTOBER_ONLY))


@pytest.mark.parametrize(
    ("text", "by"),
    [
        (HALVES, "team"),
        (HALVES, "model"),
        (NETWORK, "team"),
        (HALVES + NETWORK, "team"),
        (UNITS, "business-unit"),
        (MAPS, "team"),
        (MAPS, "environment"),
        (TAGS, "team"),
    ],
)
def test_once_adopted_a_run_gives_what_whatif_said(tiny, copied, text, by):
    found = asked(tiny, text, by=by)
    assert moved(found)
    assert_run_gives(copied(tiny), adopted(CONFIG, text), found)


def test_once_a_whole_file_without_rules_is_adopted_a_run_gives_what_whatif_said(tiny, copied):
    text = CONFIG[: CONFIG.index("[[rules]]")]
    found = asked(tiny, text, by="model")
    assert moved(found)
    assert_run_gives(copied(tiny), text, found)


@pytest.mark.parametrize("text", [BY_CORE, ALL_WORK])
def test_once_adopted_other_metering_gives_what_whatif_said(tmp_path, text):
    folder = write_company(tmp_path / "half", MIXED_CHARGES, MIXED_USES[:3])  # the cores are idle
    with app.open_project(folder) as project:
        app.ingest(project)
        app.run(project)
        found = asked(project, text, period=OCTOBER_ONLY)
    assert moved(found)
    assert_run_gives(folder, METERED + text, found)


def assert_run_gives(folder, text, found):
    (folder / "apportion.toml").write_text(text)
    with app.open_project(folder) as project:
        assert not app.run(project).unchanged
        (section,) = app.report(project, by=found.dimension, period=found.period).sections
        at = [column.key for column in section.columns].index("cost")
        assert {row[0]: row[at] for row in section.rows if row[at]} == {
            owner: after for owner, (_, after) in by_owner(found).items() if after
        }
        again = asked(project, text, by=found.dimension, period=found.period)
        assert not again.rules
        assert not moved(again)


def test_weights_that_count_cores_only_give_all_to_who_had_the_cores(mixed):
    found = by_owner(asked(mixed, BY_CORE, period=OCTOBER_ONLY))
    assert (found["ads"][1], found["risk"][1], found["data"]) == (100, 0, (5, 5))


def test_a_rule_for_the_owner_of_work_reaches_metered_cost(mixed):
    found = asked(mixed, '[tags.values.team]\nrisk = "safety"\n', period=OCTOBER_ONLY)
    assert by_owner(found)["safety"][1] == by_owner(found)["risk"][0]
    assert [each.id for each in found.rules] == ["tags.values"]


def test_before_sharing_a_pool_moves_nothing(tiny):
    assert moved(asked(tiny, NETWORK))["platform"] < 0
    found = asked(tiny, NETWORK, lens=Lens.BEFORE)
    assert not moved(found)
    assert [(each.kind, each.id, each.fate) for each in found.rules] == [("pool", "network", "new")]


def test_a_pool_that_is_there_already_is_gone_or_changed(company):
    (company / "apportion.toml").write_text(CONFIG + NETWORK)
    with app.open_project(company) as project:
        app.ingest(project)
        app.run(project)
        (gone,) = asked(project, "pools = []\n").rules
        assert (gone.id, gone.fate, gone.after) == ("network", "gone", None)
        (changed,) = asked(project, NETWORK + 'method = "even"\n').rules
        assert (changed.id, changed.fate) == ("network", "changed")
        assert changed.before != changed.after
        assert not asked(project, NETWORK).rules


def test_nothing_is_stored(mixed, copied):
    folder = copied(mixed)
    with app.open_project(folder) as project:
        run, state = project.store.current_run(), project.store.state
    before = hashes(state)
    with app.open_project(folder) as project:
        for text in (BY_CORE, HALVES + NETWORK.replace("Network", "EC2") + UNITS):
            assert asked(project, text, period=OCTOBER_ONLY).rules
    assert hashes(state) == before
    assert not [path for path in (state / "tmp").rglob("*") if path.is_file()]
    with app.open_project(folder) as project:
        assert project.store.current_run() == run


def run_of(project, text, period=BOTH):
    (project.folder / "new.toml").write_text(text)
    config, _, _ = proposed(project, project.folder / "new.toml")
    return replay(project.store, project.store.current_run(), config, period)


def test_what_does_not_change_is_the_stored_part_and_what_changes_has_the_id_that_a_run_gives(tiny, copied):
    run = tiny.store.current_run()
    shared, new = run_of(tiny, NETWORK), run_of(tiny, HALVES, OCTOBER_ONLY)
    assert shared.parts == run.parts
    assert all(tiny.store.state / "lake" in part.folder.parents for part in shared.parts)
    folder = copied(tiny)
    (folder / "apportion.toml").write_text(CONFIG + NETWORK)
    with app.open_project(folder) as project:
        assert [part.id for part in app.run(project).run.sharings] == [part.id for part in shared.sharings]
    (folder / "apportion.toml").write_text(adopted(CONFIG, HALVES))
    with app.open_project(folder) as project:
        parts = app.run(project).run.parts
    assert [part.id for part in new.parts] == [part.id for part in parts if part.period in OCTOBER_ONLY]


def test_new_rules_measure_nothing_anew(mixed):
    run = mixed.store.current_run()
    new = run_of(mixed, HALVES, OCTOBER_ONLY)
    assert [part.id[:16] for part in new.usages] == [part.id[:16] for part in run.usages]
    assert new.usages != run.usages


def test_a_staged_file_is_read_by_the_store_that_staged_it_and_by_no_other(mixed):
    new = run_of(mixed, BY_CORE, OCTOBER_ONLY)
    staged = new.parts[0].allocations
    assert mixed.store.checked(staged) == staged
    with app.open_project(mixed.folder) as other, pytest.raises(DamagedFile):
        other.store.checked(staged)


def test_another_order_of_rules_is_told(company):
    rule = HALVES[HALVES.rindex("[[rules]]") :]
    (company / "apportion.toml").write_text(CONFIG + rule)
    with app.open_project(company) as project:
        app.ingest(project)
        run = app.run(project).run
        first = CONFIG[CONFIG.index("[[rules]]") : CONFIG.index("[maps")]
        (moved_on,) = asked(project, rule + first).rules
        assert (moved_on.kind, moved_on.id, moved_on.fate) == ("table", "order of the rules", "changed")
        (gone,) = rule_changes(run, {}, parse_config(CONFIG))
        assert (gone.id, gone.fate, gone.after) == ("support", "gone", None)


def test_a_bill_that_came_in_after_the_run_is_not_mistaken_for_the_rules(tiny, copied):
    folder = copied(tiny)
    (folder / "bills" / "2026-10.csv").write_text(bill("2026-10", OCTOBER[:3]))
    with app.open_project(folder) as project:
        app.ingest(project)
        run = project.store.current_run().id
        with pytest.raises(NoData) as refused:
            asked(project, HALVES)
        assert str(refused.value) == (
            f"Run {run} is not made of the bills, meters and methods of 2026-10 as they are now. "
            "Run 'apportion run' first, so that only the rules differ."
        )
        assert moved(asked(project, TAGS, period=Period.parse("2026-09")))


def test_usage_that_came_in_after_the_run_is_not_mistaken_for_the_rules(mixed, copied):
    folder = copied(mixed)
    more = use(("2026-10-06T00:00:00Z", "2026-10-06T01:00:00Z"), "late", "gpu_seconds", 1, resource_id=NODE_1)
    text = ",".join(more) + "\n" + ",".join(map(str, more.values())) + "\n"
    (folder / "meters" / "more.csv").write_text(text)
    with app.open_project(folder) as project:
        app.ingest(project)
        with pytest.raises(NoData, match="is not made of the bills, meters and methods of 2026-10 as they are now"):
            asked(project, BY_CORE, period=OCTOBER_ONLY)
        app.run(project)
        assert asked(project, BY_CORE, period=OCTOBER_ONLY).rules


def test_a_difference_of_one_quantum_between_the_totals_is_refused():
    before, after = {("USD", "a"): 3, ("EUR", "a"): 1}, {("USD", "a"): 1, ("USD", "b"): 2, ("EUR", "b"): 1}
    assert [(each.currency, each.owner, quanta(each.change)) for each in compared(before, after, first="USD")] == [
        ("USD", "a", -2),
        ("USD", "b", 2),
        ("EUR", "a", -1),
        ("EUR", "b", 1),
    ]
    with pytest.raises(NotConserved, match=r"the proposed rules give out 0\.000000000000000001 USD more than the run"):
        compared(before, after | {("USD", "b"): 3}, first="USD")


def test_every_setting_that_decides_is_known_by_name():
    config = parse_config(CONFIG)
    for table, keys in SETTINGS.items():
        assert keys == tuple(getattr(getattr(config, table), "__dataclass_fields__", ()))
    other = parse_config(adopted(CONFIG, HALVES + UNITS + MAPS + TAGS + NETWORK + BY_CORE))
    assert with_settings(config, other, NAMES) == other
    assert with_settings(config, other, ["metering.weights"]).metering.weights == "cpu-only"

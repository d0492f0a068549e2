from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tagging.bills import billed, config, row, rule

from apportion.core.targets import DIMENSIONS
from apportion.tagging.coverage import Counted, tag_coverage
from apportion.tagging.worklist import worklist

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def team(found):
    return [one for one in found if one.dimension == "team"]


def test_coverage_by_hand(tmp_path):
    """Four AWS resources, one credit, one tax line, one Azure line in euros; one rule for S3."""
    rows = [
        row({"team": "a"}, ResourceId="i-1"),
        row({}, ResourceId="i-1"),  # the same resource, this part without the tag
        row({"team": "b"}, ResourceId="i-2"),
        row({"team": "b"}, ResourceId="i-2", ChargeCategory="Credit"),
        row({"team": "n/a"}, ResourceId="bucket", ServiceName="S3"),
        row({}, ChargeCategory="Tax"),
        row({"team": "c"}, ResourceId="vm", ServiceProviderName=None, ProviderName="Microsoft"),
    ]
    amounts = ["10", "5", "20", ("USD", "-4", 2), "30", "1", ("EUR", "7.5", 3)]
    settings_ = config([rule("s3", {"team": "store"}, equals={"service": ("S3",)})])
    with billed(tmp_path, rows, amounts, settings_) as db:
        aws, azure = team(tag_coverage(db))
    assert (aws.provider, aws.currency, azure.provider, azure.currency) == ("AWS", "USD", "Microsoft", "EUR")
    assert aws.all == Counted(3, 7, Decimal(70))
    assert aws.tagged == Counted(1, 4, Decimal(34))
    assert aws.known == Counted(2, 5, Decimal(64))
    assert (aws.tagged_share, aws.known_share) == (Decimal("0.485714"), Decimal("0.914286"))
    assert azure.all == azure.tagged == azure.known == Counted(1, 3, Decimal("7.5"))
    assert azure.tagged_share == 1


def test_a_bill_of_no_money_has_no_share(tmp_path):
    with billed(tmp_path, [row({"team": "a"})], ["0"], config()) as db:
        assert [(one.tagged_share, one.known_share) for one in tag_coverage(db)] == [(None, None)] * 4


def test_no_bill_has_no_coverage(tmp_path):
    with billed(tmp_path, [], [], config()) as db:
        assert tag_coverage(db) == ()
        assert worklist(db) == ()


def test_dimensions_come_in_their_order(tmp_path):
    with billed(tmp_path, [row({})], ["1"], config()) as db:
        assert [one.dimension for one in tag_coverage(db)] == list(DIMENSIONS)
        assert [one.dimension for one in worklist(db)] == list(DIMENSIONS)


def test_a_tag_that_an_override_rules_out_is_known_but_does_not_count_as_tagged(tmp_path):
    settings_ = config([rule("o", {"team": "x"}, override=True)])
    with billed(tmp_path, [row({"team": "a"})], ["1"], settings_) as db:
        (found,) = team(tag_coverage(db))
    assert (found.tagged_share, found.known_share) == (0, 1)


def test_a_charge_that_is_split_counts_piece_by_piece(tmp_path):
    split = rule("s", shares=[(1, {"team": "a"}), (1, {"project": "p"})])
    with billed(tmp_path, [row({})], ["1"], config([split])) as db:
        (found,) = team(tag_coverage(db))
    assert found.known_share == Decimal("0.5")


def test_a_dated_rule_counts_for_the_charges_of_its_time_only(tmp_path):
    dated = rule("new", {"team": "a"}, valid_from=date(2026, 11, 1))
    for day, share in ((datetime(2026, 10, 31), 0), (datetime(2026, 11, 1), 1)):
        with billed(tmp_path, [row({}, ResourceId="i")], [("USD", "3", 2)], config([dated]), day=day) as db:
            assert [(one.known_share, one.known.charges) for one in team(tag_coverage(db))] == [(share, 2 * share)]
            assert worklist(db)[0].resources == 1 - share


ROWS = st.lists(
    st.tuples(
        st.sampled_from([None, {}, {"team": "a"}, {"team": "?", "project": "p"}]),
        st.sampled_from([None, "i-1", "i-2"]),
        st.sampled_from(["AWS", "Microsoft"]),
        st.decimals("-1000", "1000", places=6),
        st.sampled_from(["USD", "EUR"]),
    ),
    max_size=12,
)


@QUICK
@given(ROWS)
def test_what_is_tagged_is_known_and_what_is_known_is_part_of_all(tmp_path, parts):
    rows = [row(tags, ResourceId=name, ServiceProviderName=provider) for tags, name, provider, _, _ in parts]
    amounts = [(currency, str(amount), 1) for *_, amount, currency in parts]
    with billed(tmp_path, rows, amounts, config()) as db:
        found = tag_coverage(db)
    for one in found:
        for name in ("resources", "charges", "size"):
            tagged, known, whole = (getattr(counted, name) for counted in (one.tagged, one.known, one.all))
            assert 0 <= tagged <= known <= whole
    for dimension in DIMENSIONS:
        size = sum(one.all.size for one in found if one.dimension == dimension)
        assert size == sum(abs(amount) for *_, amount, _ in parts)


# --- the worklist ------------------------------------------------------------


def test_the_worklist_by_hand(tmp_path):
    rows = [
        row({"team": "a"}, ResourceId="i-1"),
        row({}, ResourceId="i-2", ResourceName="train", ResourceType="Instance", RegionId="eu-1", SubAccountId="sub"),
        row({}, ResourceId="i-2", ChargeCategory="Credit", SubAccountId="sub"),
        row({}, ResourceId="i-3", ServiceName="S3"),
        row({}, ChargeCategory="Tax"),
    ]
    with billed(tmp_path, rows, ["50", "30", "-5", "10", "5"], config()) as db:
        found = worklist(db)[0]
        shorter = worklist(db, limit=1)[0]
    assert (found.dimension, found.currency, found.size, found.known) == ("team", "USD", 100, 50)
    assert (found.untaggable, found.resources) == (5, 2)
    first, second = found.items
    assert (first.resource_id, first.resource_name, first.resource_type, first.region) == (
        "i-2",
        "train",
        "Instance",
        "eu-1",
    )
    assert (first.provider, first.account, first.service) == ("AWS", "sub", "EC2")
    assert (first.open, first.amount, first.charges, first.coverage) == (35, 25, 2, Decimal("0.85"))
    assert (second.resource_id, second.account, second.coverage) == ("i-3", "payer", Decimal("0.95"))
    assert found.headline() == "tag these 2 resources: team coverage +45.0 % (50.0 % to 95.0 %)"
    assert shorter.headline() == "tag this resource: team coverage +35.0 % (50.0 % to 85.0 %)"
    assert (shorter.resources, len(shorter.items), shorter.after) == (2, 1, Decimal("0.85"))


def test_the_figures_of_the_headline_agree(tmp_path):
    rows = [row({"team": "a"}), row({}, ResourceId="i-1"), row({}, ResourceId="i-2")]
    with billed(tmp_path, rows, ["77.66", "9.27", "13.07"], config()) as db:
        found = worklist(db, limit=2)[0]
        assert found.headline() == "tag these 2 resources: team coverage +22.3 % (77.7 % to 100.0 %)"
        assert worklist(db, limit=1)[0].headline() == "tag this resource: team coverage +13.0 % (77.7 % to 90.7 %)"


def test_nothing_is_left_to_tag_where_all_is_known_or_nothing_was_billed(tmp_path):
    with billed(tmp_path, [row({"team": "a"}, ResourceId="i")], ["5"], config()) as db:
        assert worklist(db)[0].headline() == "no resource is left to tag for team"
        assert worklist(db)[0].before == worklist(db)[0].after == 1
    with billed(tmp_path, [row({}, ResourceId="i")], ["0"], config()) as db:
        assert worklist(db)[0].headline() == "no resource is left to tag for team"
        assert worklist(db)[0].before is None


def test_each_currency_has_its_own_list(tmp_path):
    rows = [row({}, ResourceId="i-1"), row({}, ResourceId="i-2")]
    with billed(tmp_path, rows, ["1", ("EUR", "2", 1)], config()) as db:
        found = worklist(db)[:2]
    assert [(one.currency, [item.resource_id for item in one.items]) for one in found] == [
        ("EUR", ["i-2"]),
        ("USD", ["i-1"]),
    ]


def test_resources_of_equal_money_come_in_a_fixed_order(tmp_path):
    rows = [row({}, ResourceId=f"i-{place}") for place in (3, 1, 2)]
    with billed(tmp_path, rows, ["1", "1", "1"], config()) as db:
        assert [item.resource_id for item in worklist(db)[0].items] == ["i-1", "i-2", "i-3"]


@QUICK
@given(ROWS)
def test_the_worklist_adds_up_to_the_whole(tmp_path, parts):
    rows = [row(tags, ResourceId=name, ServiceProviderName=provider) for tags, name, provider, _, _ in parts]
    amounts = [(currency, str(amount), 1) for *_, amount, currency in parts]
    with billed(tmp_path, rows, amounts, config()) as db:
        for one in worklist(db):
            assert one.known + one.untaggable + sum(item.open for item in one.items) == one.size
            assert [item.open for item in one.items] == sorted((item.open for item in one.items), reverse=True)


@pytest.mark.parametrize("name", ["'; DROP TABLE money; --", "x" * 10_000, "\x1b[31m"])
def test_hostile_names_are_only_texts(tmp_path, name):
    with billed(tmp_path, [row({}, ResourceId=name, ServiceProviderName=name)], ["1"], config()) as db:
        assert worklist(db)[0].items[0].resource_id == name
        assert tag_coverage(db)[0].provider == name

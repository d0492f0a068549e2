from __future__ import annotations

import pytest
from tests.tagging.plan_texts import POLICY, change, provider, terraform, told, written

from apportion.tagging.plan_check import check_plan, read_plan


def test_a_terraform_plan_by_hand(tmp_path):
    changes = [
        change("aws_instance.good", {"tags": None, "tags_all": {"Team": "Search"}}),
        change("aws_instance.bare", {"tags": None}, unknown={"tags_all": {}}),
        change("aws_instance.other", {"tags": {"team": "finance", "env": "Production"}, "tags_all": None}),
        change("aws_iam_role_policy_attachment.none", {"role": "r"}),
        change("aws_s3_bucket.gone", None, actions=("delete",)),
        change("aws_s3_bucket.same", {"tags": None}, actions=("no-op",)),
        change("aws_s3_bucket.again", {"tags": {}}, actions=("delete", "create")),
        change("data.aws_ami.read", {"tags": {}}, actions=("read",), mode="data"),
    ]
    found = check_plan(terraform(tmp_path, changes), POLICY)
    assert told(found) == [
        ("aws_instance.bare", "missing", "team"),
        ("aws_instance.other", "missing", "model"),
        ("aws_instance.other", "not-allowed", "team"),
        ("aws_s3_bucket.again", "missing", "team"),
    ]
    assert (found[0].what, found[0].fix) == ("has no tag for team, which is required", "Add team to tags.")
    assert found[1].what == "has no tag for model, which is required where environment is prod"
    assert (found[2].what, found[2].fix) == ("'finance' is no allowed team", "Allowed: search, vision.")
    assert {(one.file, one.line) for one in found} == {(str(tmp_path / "plan.json"), None)}
    assert found[0].kind == "aws_instance"


@pytest.mark.parametrize(
    ("after", "unknown"),
    [
        ({"tags": {}}, {"tags": {"team": True}}),
        ({"tags": {}}, {"tags_all": {"Team": True}}),
        ({}, {"tags": True, "tags_all": True}),
        ({"tags": {"team": None}}, {}),
    ],
)
def test_a_tag_known_only_later_is_not_missing(tmp_path, after, unknown):
    assert check_plan(terraform(tmp_path, [change("aws_instance.a", after, unknown=unknown)]), POLICY) == ()


@pytest.mark.parametrize(
    ("tags", "variables", "expected"),
    [
        ({"constant_value": {"team": "search"}}, {}, []),
        ({"constant_value": {"env": "dev"}}, {}, ["missing"]),
        ({"references": ["var.tags"]}, {"tags": {"value": {"team": "zzz"}}}, ["not-allowed"]),
        ({"references": ["var.tags"]}, {"tags": {"value": {}}}, ["missing"]),
        ({"references": ["local.tags"]}, {}, []),
        ({"references": ["var.a", "var.b"]}, {}, []),
    ],
)
def test_default_tags_count_where_the_plan_does_not_know_all_tags(tmp_path, tags, variables, expected):
    changes = [change("aws_instance.a[0]", {"tags": None}, unknown={"tags_all": True})]
    plan = terraform(tmp_path, changes, configuration=provider(tags, users=["aws_instance.a"]), variables=variables)
    assert [one.code for one in check_plan(plan, POLICY)] == expected


def test_default_tags_of_another_provider_do_not_count(tmp_path):
    changes = [change("aws_instance.a", {"tags": None}, unknown={"tags_all": True})]
    configuration = provider({"constant_value": {"team": "search"}}, key="aws.west", users=["aws_instance.b"])
    assert told(check_plan(terraform(tmp_path, changes, configuration=configuration), POLICY))


def test_default_tags_reach_resources_in_modules(tmp_path):
    address = 'module.net["a.b"].module.deep.aws_instance.a["k"]'
    configuration = provider({"constant_value": {"team": "search"}})
    deep = {"module": {"resources": [{"address": "aws_instance.a", "provider_config_key": "aws"}]}}
    configuration["root_module"] = {"module_calls": {"net": {"module": {"module_calls": {"deep": deep}}}}}
    changes = [change("aws_instance.a", {"tags": None}, unknown={"tags_all": True}) | {"address": address}]
    assert check_plan(terraform(tmp_path, changes, configuration=configuration), POLICY) == ()


def test_an_autoscaling_group_has_tag_blocks_and_no_default_tags(tmp_path):
    pairs = [{"key": "team", "value": "vision", "propagate_at_launch": True}]
    changes = [
        change("aws_autoscaling_group.a", {"tag": pairs}),
        change("aws_autoscaling_group.b", {"tag": []}),
    ]
    users = ["aws_autoscaling_group.a", "aws_autoscaling_group.b"]
    configuration = provider({"constant_value": {"team": "search"}}, users=users)
    found = check_plan(terraform(tmp_path, changes, configuration=configuration), POLICY)
    assert told(found) == [("aws_autoscaling_group.b", "missing", "team")]
    assert found[0].fix == "Add team to tag."


def test_googles_labels_count_and_its_network_tags_do_not(tmp_path):
    changes = [
        change("google_compute_instance.a", {"tags": ["http"], "labels": {"team": "search"}}),
        change("google_compute_instance.b", {"tags": ["http"], "labels": None, "effective_labels": {"team": "vision"}}),
        change("google_compute_instance.c", {"tags": ["http"], "labels": None}, unknown={"effective_labels": True}),
        change("google_compute_firewall.d", {"tags": ["team"]}),
    ]
    found = check_plan(terraform(tmp_path, changes), POLICY)
    assert told(found) == [("google_compute_instance.c", "missing", "team")]
    configuration = provider(
        {"constant_value": {"team": "search"}},
        key="google",
        name="google",
        block="default_labels",
        inner=None,
        users=["google_compute_instance.c"],
    )
    assert check_plan(terraform(tmp_path, changes, configuration=configuration), POLICY) == ()


def test_resources_of_providers_without_tags_are_not_looked_at(tmp_path):
    changes = [change("random_id.a", {"tags": None}), change("datadog_monitor.b", {"tags": ["team:x"]})]
    assert read_plan(terraform(tmp_path, changes)) == ()


def test_a_plan_without_changes_is_read_by_its_planned_values(tmp_path):
    child = {
        "resources": [
            {
                "address": "module.m.azurerm_virtual_machine.b",
                "type": "azurerm_virtual_machine",
                "mode": "managed",
                "values": {"tags": {"team": "search"}},
            }
        ]
    }
    root = {
        "resources": [
            {"address": "azurerm_virtual_machine.a", "type": "azurerm_virtual_machine", "values": {"tags": None}},
            {"address": "data.azurerm_image.i", "type": "azurerm_image", "mode": "data", "values": {"tags": None}},
        ],
        "child_modules": [child],
    }
    plan = written(tmp_path, {"format_version": "1.2", "planned_values": {"root_module": root}}, "p.json")
    assert [one.address for one in read_plan(plan)] == [
        "azurerm_virtual_machine.a",
        "module.m.azurerm_virtual_machine.b",
    ]
    assert told(check_plan(plan, POLICY)) == [("azurerm_virtual_machine.a", "missing", "team")]


def test_kubernetes_in_terraform_is_judged_by_its_pods(tmp_path):
    def meta(labels):
        return [{"name": "x", "labels": labels}]

    job = {"template": [{"metadata": meta({"team": "search"}), "spec": [{}]}]}
    changes = [
        change(
            "kubernetes_deployment_v1.a",
            {"metadata": meta({"team": "search"}), "spec": [{"template": [{"metadata": meta(None)}]}]},
        ),
        change("kubernetes_cron_job_v1.b", {"spec": [{"job_template": [{"metadata": [], "spec": [job]}]}]}),
        change("kubernetes_pod.c", {"metadata": meta({"team": "vision"}), "spec": [{}]}),
        change("kubernetes_secret.d", {"metadata": meta(None)}),
        change("kubernetes_manifest.e", {"manifest": {"kind": "Pod", "metadata": {"name": "p"}}}),
    ]
    found = check_plan(terraform(tmp_path, changes), POLICY)
    assert told(found) == [
        ("kubernetes_deployment_v1.a", "missing", "team"),
        ("kubernetes_manifest.e", "missing", "team"),
    ]
    assert found[0].fix == "Add team to spec.template.metadata.labels."
    assert found[1].fix == "Add team to manifest.metadata.labels."
